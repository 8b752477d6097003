"""The papers' tables, one module per paper, cell by cell as printed."""
