"""Lifted points against exact depth, beside other estimators."""
