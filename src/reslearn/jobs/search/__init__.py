"""`sweep`: many trainings that differ in a few settings, shared by processes and machines through Optuna's storage."""
