"""The training loop, its optimiser, schedule, checkpoints and run folder."""
