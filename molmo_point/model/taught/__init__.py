"""Taught objects: frozen image features, and a head for each object that a person has shown."""
