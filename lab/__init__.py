"""Programs that made the embedded models."""
