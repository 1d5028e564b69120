"""Taught objects: how well heads on frozen features find objects that no network was trained on."""
