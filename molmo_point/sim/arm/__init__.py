"""A simulated Panda with a gripper at a table.

Importing this package costs nothing; each name is loaded at its first use.
"""

from importlib import import_module
from typing import Any

_LAZY = {"SimulatedArm": "molmo_point.sim.arm.simulated_arm", "random_arm_layout": "molmo_point.sim.arm.tables"}

__all__ = [*_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_LAZY[name]), name)
