"""Geometry on plain arrays: intrinsics, frame-checked transforms, depth at a point, uncertainty."""
