"""Goals that pick and place."""
