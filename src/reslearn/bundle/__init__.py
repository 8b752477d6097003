"""The sealed file: save, load, verify."""
