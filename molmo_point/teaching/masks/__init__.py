"""Sources of the mask of a shown object."""
