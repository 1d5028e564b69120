"""The `molmo-point doctor` command."""
