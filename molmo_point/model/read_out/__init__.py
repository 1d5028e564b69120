"""Read-out of names: a small network on the frozen image features that finds objects and names them."""
