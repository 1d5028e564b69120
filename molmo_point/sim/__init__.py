"""Simulated tabletops with known truth, rendered by MuJoCo."""

from molmo_point.sim.arranging import random_arrangement
from molmo_point.sim.scene import TabletopScene, VisibleObject
from molmo_point.sim.stage import Stage

__all__ = ["Stage", "TabletopScene", "VisibleObject", "random_arrangement"]
