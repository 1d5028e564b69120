"""Grasps of a parallel gripper on the object at a target."""
