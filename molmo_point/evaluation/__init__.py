"""Measurements of models on scenes with known truth."""
