"""Looking after data: check, duplicates, splits by hand, contact sheets."""
