"""Fit of all that a checkpoint ships to be trusted: familiarity, read-outs, calibration."""
