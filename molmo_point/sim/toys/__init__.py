"""Toys and tools made by formula, which no model of this project was trained on."""
