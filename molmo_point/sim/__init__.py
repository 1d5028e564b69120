"""Simulated tabletops with known truth, rendered by MuJoCo."""

from molmo_point.sim.tabletop.scene import TabletopScene, VisibleObject

__all__ = ["TabletopScene", "VisibleObject"]
