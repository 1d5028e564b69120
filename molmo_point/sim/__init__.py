"""Simulated scenes with known truth, rendered by MuJoCo."""

from molmo_point.sim.rendered_scene import VisibleObject
from molmo_point.sim.tabletop.scene import TabletopScene

__all__ = ["TabletopScene", "VisibleObject"]
