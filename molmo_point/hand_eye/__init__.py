"""Hand-eye calibration on arrays: closed forms, joint optimization with robot noise, and how far to trust the result."""
