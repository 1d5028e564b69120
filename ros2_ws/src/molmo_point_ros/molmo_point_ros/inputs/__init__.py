"""Images, depth, and transforms that come in."""
