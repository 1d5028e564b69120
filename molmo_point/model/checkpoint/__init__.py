"""Checkpoints as files: their identity, completeness and loading."""
