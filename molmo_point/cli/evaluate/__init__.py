"""The `molmo-point eval` command."""
