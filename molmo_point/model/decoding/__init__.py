"""Greedy decoding in fewer passes: drafts of the forced format, verified by the model."""
