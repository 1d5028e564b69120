"""What can be set about a pick."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

from molmo_point.depth.lift import lift_point
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.results import ImagePoint, Target, Unreachable

Lift = Callable[[ImagePoint, RgbdFrame], Target | Unreachable]


@dataclass(frozen=True)
class PickSettings:
    """How a `Picker` works.

    Attributes:
        second_view: Whether the wrist camera is asked, too, before anything moves.
        look_again: Whether to look from the stand-off with the wrist camera before reaching for the thing.
        look_in_passing: Look again while the arm moves on, instead of standing still for it.
        transform_at: Which transform a target is taken to the base frame with: that of the frame's capture, or, which is
            wrong when the camera moves, the latest one at the time of the answer.
        lift: Image point and frame to a target.
        stand_off_m: From the wrist camera to the thing, when looking again.
        lift_m: How high to lift.
        answer_s: Simulated seconds that pass for a question to the model; a real arm's clock runs by itself, so 0 there.
        max_looks: How often to look again, at most, when the looks do not agree.
        clear_lead: By how much more weight the thing that is picked has to be meant than any other one, see
            `Sighting.weight`; with less, both are looked at together.
        least_lead: With less than this in the end, neither is picked.
        same_m: Two targets nearer than this are the same thing, beside what their covariances allow.
        least_width_m: Fingers closer than this hold nothing.
        holding_speed: Share of the arm's speed while it holds something.

    Raises:
        InputError: If a number is negative or a speed above 1.
    """

    second_view: bool = True
    look_again: bool = True
    look_in_passing: bool = False
    transform_at: Literal["capture", "latest"] = "capture"
    lift: Lift = lift_point
    stand_off_m: float = 0.34
    lift_m: float = 0.16
    answer_s: float = 0.15
    max_looks: int = 5
    clear_lead: float = 2.5
    least_lead: float = 1.0
    same_m: float = 0.025
    least_width_m: float = 0.006
    holding_speed: float = 0.7

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float | int) and not isinstance(value, bool) and value < 0:
                raise InputError("A setting of the pick must not be negative", f"{each.name}={value}", "give a positive number")
        if not 0 < self.holding_speed <= 1 or self.transform_at not in ("capture", "latest"):
            given = f"holding_speed={self.holding_speed}, transform_at={self.transform_at!r}"
            raise InputError("The settings of the pick cannot be used", given, 'a speed up to 1, and "capture" or "latest"')
