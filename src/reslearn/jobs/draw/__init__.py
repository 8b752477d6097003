"""Networks and blocks as diagrams, from their specs."""
