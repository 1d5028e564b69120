"""True state of the simulated arm's table: for judging the arm, never for moving it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.errors import InputError
from molmo_point.sim.arm.containers import CONTAINER_PREFIX
from molmo_point.sim.arm.physics_model import ARM
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.mujoco_import import import_mujoco
from molmo_point.sim.tabletop.mjcf import OBJECT_PREFIX

_EVERY = 5
_SPHERE, _CYLINDER, _BOX, _MESH = 2, 5, 6, 7
_PADS = ("left_pad", "right_pad", "left_follower", "right_follower")
_RISEN_M, _FALLEN_M, _LIFTED_M, _LEAST_N = 0.03, 0.05, 0.06, 1.0


@dataclass
class Touch:
    """The hardest contact between a part of the arm and another body.

    Attributes:
        part: Name of the part of the arm.
        other: "table", the number of an object as text, or the name of a container, such as "container_0".
        force_n: Largest force, newtons.
        time_s: Simulated time of the largest force, seconds.
    """

    part: str
    other: str
    force_n: float
    time_s: float


class ArmTruth:
    """Watches an arm from its construction on.

    Args:
        arm: The arm.

    Attributes:
        arm: The arm.
        touches: Hardest contacts of the arm with the table and with objects, by (part, other).
        highest_m: (n,) greatest height of each object's middle so far, meters.
        dropped: Numbers of objects that fell after a lift.
    """

    def __init__(self, arm: SimulatedArm) -> None:
        self.arm, self._mujoco = arm, import_mujoco()
        self._bodies = [arm.model.body(f"{OBJECT_PREFIX}{k}").id for k in range(len(arm.layout.objects))]
        self._owner = {body: str(number) for number, body in enumerate(self._bodies)}
        hollow = [f"{CONTAINER_PREFIX}{k}" for k in range(len(arm.layout.containers))]
        self._owner |= {arm.model.body(name).id: name for name in hollow}
        self._start = self.positions_m()
        self.touches: dict[tuple[str, str], Touch] = {}
        self.highest_m = self._start[:, 2].copy()
        self.dropped: set[int] = set()
        self._count = 0
        arm.after_every_step(self._watch)

    def positions_m(self) -> FloatArray:
        """Middles (n, 3) of the objects, meters, base frame."""
        return self.arm.data.xpos[self._bodies].copy()

    def moved_m(self) -> FloatArray:
        """Distances (n,) of the objects from their first positions, meters."""
        return np.linalg.norm(self.positions_m() - self._start, axis=1)

    def lifted(self) -> set[int]:
        """Numbers of the objects above the table and between the fingers now."""
        high = self.positions_m()[:, 2] - self._start[:, 2] > _LIFTED_M
        between = {number for number in range(len(self._bodies)) if self._held(number)}
        return {number for number in np.flatnonzero(high).tolist() if number in between}

    def _held(self, number: int) -> bool:
        touching = {self.arm.model.body(body).name for body in _touching(self.arm, self._bodies[number])}
        return all(any(name.startswith(f"{ARM}{side}") for name in touching) for side in ("left", "right"))

    def _watch(self) -> None:
        self._count += 1
        if self._count % _EVERY:
            return
        heights = self.arm.data.xpos[self._bodies, 2]
        self.highest_m = np.maximum(self.highest_m, heights)
        risen = self.highest_m - self._start[:, 2] > _RISEN_M
        fallen = risen & (self.highest_m - heights > _FALLEN_M)
        for number in np.flatnonzero(fallen):
            if not self._held(int(number)):
                self.dropped.add(int(number))
        self._touch()

    def _touch(self) -> None:
        model, data = self.arm.model, self.arm.data
        force = np.zeros(6)
        for index in range(data.ncon):
            geoms = data.contact.geom[index]
            bodies = model.geom_bodyid[geoms]
            names = [model.body(body).name for body in bodies]
            ours = [name.startswith(ARM) for name in names]
            if ours[0] == ours[1]:
                continue
            other = 1 if ours[0] else 0
            what = self._owner.get(int(bodies[other]), "table")
            self._mujoco.mj_contactForce(model, data, index, force)
            part = names[1 - other].removeprefix(ARM)
            key, strength = (part, what), float(np.linalg.norm(force[:3]))
            if key not in self.touches or strength > self.touches[key].force_n:
                self.touches[key] = Touch(part, what, strength, float(data.time))

    def collisions(self, target: int) -> list[Touch]:
        """Unwanted contacts: with the table, with other objects, or of the target with more than the fingers."""
        return [
            touch
            for touch in self.touches.values()
            if touch.force_n >= _LEAST_N and (touch.other != str(target) or touch.part not in _PADS)
        ]


def contents(arm: SimulatedArm, container: int = 0) -> frozenset[int]:
    """Numbers of the objects in a container, or on a plate, now.

    Such an object has its middle over the opening and its lowest point below the rim. It touches neither the table nor
    the arm.

    Args:
        arm: The arm at the table.
        container: Number of the container in the layout.

    Raises:
        InputError: If the layout has no container of this number.
    """
    if not 0 <= container < len(arm.layout.containers):
        given = f"container {container} of {len(arm.layout.containers)}"
        raise InputError("container must be a number in the layout", given, "count from 0")
    item, body = arm.layout.containers[container], arm.data.body(f"{CONTAINER_PREFIX}{container}")
    axes = body.xmat.reshape(3, 3)
    lying = set()
    for number in range(len(arm.layout.objects)):
        local = (arm.data.body(f"{OBJECT_PREFIX}{number}").xpos - body.xpos) @ axes
        low = lowest_m(arm, number) - float(body.xpos[2])
        if item.over_opening(local[:2]) and low < item.rim_m and not _touches_outside(arm, number):
            lying.add(number)
    return frozenset(lying)


def lowest_m(arm: SimulatedArm, number: int) -> float:
    """Height of an object's lowest point now, meters, base frame."""
    geom: Any = arm.data.geom(f"{OBJECT_PREFIX}{number}_solid")
    kind, size = int(arm.model.geom_type[geom.id]), arm.model.geom_size[geom.id]
    down = np.abs(geom.xmat.reshape(3, 3)[2])
    below = {
        _SPHERE: lambda: size[0],
        _CYLINDER: lambda: size[1] * down[2] + size[0] * np.hypot(down[0], down[1]),
        _BOX: lambda: down @ size,
        _MESH: lambda: -float((_corners(arm, geom.id) @ geom.xmat.reshape(3, 3)[2]).min()),
    }[kind]()
    return float(geom.xpos[2] - below)


def _corners(arm: SimulatedArm, geom: int) -> FloatArray:
    """Corners (n, 3) of the mesh of a geom, meters, in its own frame."""
    mesh = arm.model.mesh(int(arm.model.geom_dataid[geom]))
    return arm.model.mesh_vert[mesh.vertadr[0] : mesh.vertadr[0] + mesh.vertnum[0]]


def _touches_outside(arm: SimulatedArm, number: int) -> bool:
    """True if an object touches the table or the arm now."""
    own = arm.model.body(f"{OBJECT_PREFIX}{number}").id
    return any(body == 0 or arm.model.body(body).name.startswith(ARM) for body in _touching(arm, own))


def _touching(arm: SimulatedArm, body: int) -> set[int]:
    """Numbers of the bodies that touch a body now."""
    pairs = arm.model.geom_bodyid[arm.data.contact.geom[: arm.data.ncon]].reshape(-1, 2).tolist()
    return {other for pair in pairs if body in pair for other in pair if other != body}
