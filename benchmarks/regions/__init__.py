"""Object regions on real frames, judged by outlines that were read off the color images by eye."""
