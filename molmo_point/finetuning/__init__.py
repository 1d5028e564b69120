"""Training a Molmo further: on labels from files, rendered scenes, or both; in full or through adapters."""
