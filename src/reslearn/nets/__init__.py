"""Networks: layers, shortcuts, blocks, stages, initialisation, building, foreign weights."""
