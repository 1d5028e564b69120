"""Trust in an answer: calibrated confidence."""
