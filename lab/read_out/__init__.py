"""Training of the read-out: names of objects from frozen image features."""
