"""Ablations and charts of the pick benchmark."""
