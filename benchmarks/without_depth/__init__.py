"""Targets without a depth camera, against the depth path."""
