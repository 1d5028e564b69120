"""Molmo2, based on the class of transformers."""
