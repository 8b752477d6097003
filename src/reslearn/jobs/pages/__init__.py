"""The pages that commands write: runs, evaluations, cross-validations, comparisons."""
