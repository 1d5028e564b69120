"""Greedy decoding that costs fewer passes: drafts of what the format forces, verified by the model."""
