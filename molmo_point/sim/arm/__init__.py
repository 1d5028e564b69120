"""A simulated Panda with a gripper at a table."""
