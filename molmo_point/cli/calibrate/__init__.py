"""The `molmo-point calibrate` command."""
