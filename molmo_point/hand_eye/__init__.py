"""Hand-eye calibration on arrays: closed forms, joint optimisation with robot noise, and how far to trust the result."""
