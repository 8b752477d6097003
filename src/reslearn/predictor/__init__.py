"""Using a trained network: the predictor."""
