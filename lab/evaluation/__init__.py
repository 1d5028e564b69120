"""Household scenes for measuring an embedded model."""
