"""Conversion of images and words to the tensors of a sequence."""
