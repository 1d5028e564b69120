"""Accuracy of taught objects: toys in simulation, and photographs of one's own objects."""
