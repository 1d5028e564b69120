"""Nodes and what they are made of."""
