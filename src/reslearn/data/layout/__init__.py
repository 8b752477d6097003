"""What names and files mean: which are pictures, of which class and split; folders, tables, tars, text."""
