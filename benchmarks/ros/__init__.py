"""Measurements of the ROS 2 node."""
