"""Robot arms: drivers, planners, joint paths, and obstacle boxes."""
