"""Molmo's architecture as a transformers model."""
