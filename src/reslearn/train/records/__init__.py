"""What is written down of a run while it lasts: its record, its journal, its ledger, a cross-validation's record."""
