"""Comparisons of this project with peers, floors and reference code."""
