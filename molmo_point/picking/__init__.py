"""Picking with an arm by what is said: point, look again, grasp, lift, verify, place."""
