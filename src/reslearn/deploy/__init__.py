"""Predictor and export."""
