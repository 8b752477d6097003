"""From prepared pictures to logits, whatever computes them."""
