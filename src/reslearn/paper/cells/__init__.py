"""Training one entry of a study: its pictures, its run, its probes, its place in the store."""
