"""Proposed grasps against the true solids of simulated tables."""
