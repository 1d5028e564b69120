"""Tracked points in moving scenes, compared with simpler methods."""
