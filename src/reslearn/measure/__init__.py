"""Evaluation: protocols, metrics, calibration, ensembles, BN statistics."""
