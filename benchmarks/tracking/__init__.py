"""Tracked points in moving scenes, beside simpler methods."""
