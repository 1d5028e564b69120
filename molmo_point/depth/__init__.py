"""Depth at a point: estimation, uncertainty, and lifting to 3D targets."""
