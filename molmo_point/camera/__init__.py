"""Cameras: their interface and registry, and the drivers of RealSense, recordings, videos and image files."""
