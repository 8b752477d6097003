"""Networks built from specs: layers, shortcuts, the one residual block, stem-stages-head, weights from elsewhere."""
