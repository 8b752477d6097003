"""What the stored results say: verdicts, figures, tables, the page."""
