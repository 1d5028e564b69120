"""What really lies in the containers of the simulated arm's table: for judging, never for moving the arm."""

from typing import Any

import numpy as np

from molmo_point.errors import InputError
from molmo_point.sim.arm.containers import CONTAINER_PREFIX
from molmo_point.sim.arm.physics_model import ARM
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX

_SPHERE, _CYLINDER, _BOX = 2, 5, 6


def contents(arm: SimulatedArm, container: int = 0) -> frozenset[int]:
    """Numbers of the objects that lie in a container, or on a plate, now.

    One does if its middle is over the opening, its lowest point is below the rim, and it touches neither the table nor
    the arm.

    Args:
        arm: Whose table it is.
        container: Its number in the layout.

    Raises:
        InputError: If there is no such container.
    """
    if not 0 <= container < len(arm.layout.containers):
        given = f"container {container} of {len(arm.layout.containers)}"
        raise InputError("There is no such container on the table", given, "give its number in the layout, from 0")
    item, body = arm.layout.containers[container], arm.data.body(f"{CONTAINER_PREFIX}{container}")
    axes = body.xmat.reshape(3, 3)
    lying = set()
    for number in range(len(arm.layout.objects)):
        local = (arm.data.body(f"{OBJECT_PREFIX}{number}").xpos - body.xpos) @ axes
        low = lowest_m(arm, number) - float(body.xpos[2])
        if item.over_opening(local[:2]) and low < item.rim_m and not touches_outside(arm, number):
            lying.add(number)
    return frozenset(lying)


def lowest_m(arm: SimulatedArm, number: int) -> float:
    """Height of an object's lowest point now, base frame."""
    geom: Any = arm.data.geom(f"{OBJECT_PREFIX}{number}_solid")
    kind, size = int(arm.model.geom_type[geom.id]), arm.model.geom_size[geom.id]
    down = np.abs(geom.xmat.reshape(3, 3)[2])
    below = {
        _SPHERE: lambda: size[0],
        _CYLINDER: lambda: size[1] * down[2] + size[0] * np.hypot(down[0], down[1]),
        _BOX: lambda: down @ size,
    }[kind]()
    return float(geom.xpos[2] - below)


def touches_outside(arm: SimulatedArm, number: int) -> bool:
    """Whether an object touches the table or the arm now."""
    own = arm.model.body(f"{OBJECT_PREFIX}{number}").id
    for contact in arm.data.contact[: arm.data.ncon]:
        bodies = arm.model.geom_bodyid[contact.geom].tolist()
        if own in bodies:
            other = bodies[1 - bodies.index(own)]
            if other == 0 or arm.model.body(other).name.startswith(ARM):
                return True
    return False
