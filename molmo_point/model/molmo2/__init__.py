"""Molmo2, through transformers' own class."""
