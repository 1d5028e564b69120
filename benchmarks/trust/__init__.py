"""Trust in answers about foreign pictures and foreign objects."""
