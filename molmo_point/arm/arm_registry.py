"""The registry of arms: one line an arm, and the opening of an arm by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from molmo_point.arm.arm import Arm
from molmo_point.dependencies import require_name
from molmo_point.errors import InputError

OnTick = Callable[[Arm], None]
"""Called with the arm several times per second while it moves or waits, from the thread that moves it."""


@dataclass(frozen=True)
class ArmEntry:
    """One kind of arm.

    Attributes:
        name: Name that opens it.
        factory: "module:callable" that takes the options and `on_tick` by name, and returns an `Arm`.
        description: The arm; a phrase without a period.
        options: Names of the factory's arguments.
        extra: Extra of molmo-point that installs its packages; empty if none.
    """

    name: str
    factory: str
    description: str
    options: tuple[str, ...] = ()
    extra: str = ""


ARMS: dict[str, ArmEntry] = {}
"""Every arm by name; `register` adds to it."""


def register(*entries: ArmEntry) -> None:
    """Add arms to the registry; an arm of the same name is replaced."""
    ARMS.update((entry.name, entry) for entry in entries)


register(
    ArmEntry(
        "simulated",
        "molmo_point.sim.arm.simulated_arm:open_simulated_arm",
        "Panda with a two-finger gripper and two depth cameras at a random table, in MuJoCo",
        ("scene_seed", "object_count", "containers", "width", "height", "depth_noise", "pace"),
        "arm",
    ),
)


def open_arm(name: str, options: Mapping[str, Any] | None = None, *, on_tick: OnTick | None = None) -> Arm:
    """Open an arm.

    Args:
        name: A name in `ARMS`, or "module:factory" of an arm of your own, which gets `on_tick` alone.
        options: Arguments of factories by name; those of other arms are ignored.
        on_tick: See `OnTick`.

    Returns:
        The open arm, a context manager.

    Raises:
        InputError: If the name is unknown.
        DependencyError: If a package that the arm needs is not installed.
    """
    entry = ARMS.get(name, ArmEntry(name, name, "an arm of one's own"))
    if ":" not in entry.factory:
        raise InputError(f"The arm must be one of: {usage()}", repr(name), "name one of them")
    try:
        make = require_name(entry.factory, f"The arm {name}", entry.extra)
    except AttributeError as error:
        raise InputError(f"The arm must be one of: {usage()}", repr(name), str(error)) from error
    return make(**{key: value for key, value in (options or {}).items() if key in entry.options}, on_tick=on_tick)


def usage() -> str:
    """List the names of the arms: `simulated, ..., module:factory`."""
    return ", ".join((*ARMS, "module:factory"))
