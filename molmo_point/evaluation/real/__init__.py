"""Lift, stated error and grasps on a user's own frames with points chosen by hand."""
