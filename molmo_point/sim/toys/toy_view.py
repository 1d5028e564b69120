"""The toys of a simulated camera: read from text, on a table that stands still or that the camera circles."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from molmo_point.errors import InputError
from molmo_point.sim.camera_pose import CameraPose
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.sim.toys.placed_toy import PlacedToy, standing
from molmo_point.sim.toys.toy import Toy, ToyVariant
from molmo_point.sim.toys.toy_tables import random_toy_table, tumbled

MOST_SHOWN = 24
MOTIONS = ("still", "circling")
_VARIANTS: dict[str, ToyVariant] = dict(zip(("", "c", "p", "f"), ToyVariant, strict=True))
_ONE = re.compile(r"(\d+)(?:-(\d+)|([cpf]))?")
_STEP_RAD = math.radians(6.0)
_FRAMES_AROUND = 60


def toys_in(text: str, widest_m: float = math.inf) -> tuple[Toy, ...]:
    """Read toys from a text such as `1,4-6,7c`: numbers, spans, and variants of a number.

    Args:
        text: A `c` after a number is the same toy in other colors, a `p` with another pattern, an `f` of another form.
        widest_m: See `Toy`.

    Raises:
        InputError: The text names no toys, or too many.
    """
    toys: list[Toy] = []
    for word in text.replace(" ", "").split(","):
        found = _ONE.fullmatch(word)
        if found is None:
            raise InputError("toys must be numbers", repr(word), "write e.g. toys=1,4-6 or toys=7,7c")
        first, last, variant = int(found[1]), int(found[2] or found[1]), _VARIANTS[found[3] or ""]
        if not first <= last < first + MOST_SHOWN:
            raise InputError(f"toys must be a rising span of at most {MOST_SHOWN}", repr(word), "write e.g. toys=4-6")
        toys += [Toy(number, variant, widest_m) for number in range(first, last + 1)]
    if len(set(toys)) < len(toys) or len(toys) > MOST_SHOWN:
        raise InputError(f"toys must be at most {MOST_SHOWN} different ones", f"toys={text}", "leave some out")
    return tuple(toys)


class ToyView(TabletopScene):
    """A table of toys that stands still or that the camera circles; a toy alone is turned over after each circle.

    Args:
        toys: The toys.
        seed: Seed of the table, and of all motion.
        width: Image width, pixels.
        height: Image height, pixels.
        motion: One of `MOTIONS`; empty takes "circling" for a toy alone, else "still".

    Raises:
        InputError: The motion is unknown, the image is too small, or the toys do not fit on the table.
    """

    def __init__(self, toys: Sequence[Toy], seed: int, width: int = 640, height: int = 480, motion: str = "") -> None:
        if motion not in ("", *MOTIONS):
            raise InputError("motion of a simulated camera must be known", repr(motion), f"use {' or '.join(MOTIONS)}")
        self._rng, self._frames = np.random.default_rng([seed, 7]), 0
        self._circling = motion == "circling" or (motion == "" and len(toys) == 1)
        if self._circling and len(toys) == 1:
            layout = random_toy_table((), self._rng).table
            layout = replace(layout, objects=(standing(toys[0], (0.0, 0.0), float(self._rng.uniform(0, 6.3))),))
        else:
            layout = random_toy_table(toys, self._rng).table
        self._start = float(self._rng.uniform(0, 2 * np.pi))
        if self._circling:
            layout = replace(layout, camera=self._pose(len(toys)))
        super().__init__(layout, width, height)

    def advance(self) -> None:
        """Go on to the next view; a table that stands still has one view."""
        if not self._circling:
            return
        self._frames += 1
        if self._frames % _FRAMES_AROUND == 0 and len(self.layout.objects) == 1:
            (item,) = self.layout.objects
            assert isinstance(item, PlacedToy)
            self.move_toy(0, tumbled(item.toy, self._rng))
        self.move_camera(self._pose(len(self.layout.objects)))

    def _pose(self, count: int) -> CameraPose:
        turn = self._start + self._frames * _STEP_RAD
        up = math.radians(45.0 + 18.0 * math.sin(1.3 * turn))
        away = (0.36 if count == 1 else 0.62) + 0.05 * math.sin(0.7 * turn)
        eye = (away * math.cos(up) * math.cos(turn), away * math.cos(up) * math.sin(turn), away * math.sin(up) + 0.02)
        return CameraPose(eye, (0.0, 0.0, 0.025), 45.0)
