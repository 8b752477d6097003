"""Batches for training: resident in memory, or streamed by workers; sampling."""
