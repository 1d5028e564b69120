"""Lifted points against exact depth, compared with other estimators."""
