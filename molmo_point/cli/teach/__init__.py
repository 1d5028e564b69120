"""Commands `molmo-point teach` and `molmo-point taught`."""
