"""Other programs' boards that a run's journal is told to while it is written: one small adapter each."""
