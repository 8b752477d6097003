"""Looking into a trained network: layer responses, gradient norms, lesions."""
