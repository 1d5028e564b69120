"""Settings of a pick."""

from dataclasses import asdict, dataclass

from molmo_point.cautions import CautionKind, caution_kinds
from molmo_point.errors import InputError


@dataclass(frozen=True)
class PickSettings:
    """Distances, thresholds and speeds of a `Picker`.

    Attributes:
        stand_off_m: Distance of the wrist camera from the object in a second look, meters.
        lift_m: Height of the lift, meters.
        max_looks: Largest number of second looks while the views do not agree; 0 grasps without a second look.
        clear_lead: Lead in weight (`Sighting.weight`) that makes an object certain. With less, the wrist camera looks
            at the two likeliest objects together.
        least_lead: Least lead in weight of the object picked; with less, nothing is picked.
        same_m: Targets nearer than this are one object, whatever their covariances, meters.
        least_width_m: Fingers closer than this hold nothing, meters.
        holding_speed: Share of the arm's speed with an object in the gripper.
        accept_cautions: Kinds of cautions, or their names, that do not keep the arm from moving. An answer with any other
            caution moves nothing.
        least_confidence: Least confidence of the object picked, 0 to 1, in its surest view. A view whose confidence is unknown
            (NaN) under an accepted caution reaches it; 0 accepts all.
        without_depth: True uses no depth: the wrist camera looks from several places. Obstacles are then not seen.
        assumed_height_m: Height that everything on the table is assumed to have without depth, meters.

    Raises:
        InputError: If a number is negative, a speed is not in (0, 1], a confidence is above 1, or a kind of caution is unknown.
    """

    stand_off_m: float = 0.34
    lift_m: float = 0.16
    max_looks: int = 5
    clear_lead: float = 2.5
    least_lead: float = 1.0
    same_m: float = 0.025
    least_width_m: float = 0.006
    holding_speed: float = 0.7
    accept_cautions: frozenset[CautionKind] = frozenset()
    least_confidence: float = 0.5
    without_depth: bool = False
    assumed_height_m: float = 0.12

    def __post_init__(self) -> None:
        object.__setattr__(self, "accept_cautions", caution_kinds(self.accept_cautions))
        for name, value in asdict(self).items():
            if name != "accept_cautions" and not value >= 0:
                raise InputError(f"{name} must not be negative", f"{name}={value}", "give a positive number")
        if not 0 < self.holding_speed <= 1:
            raise InputError("holding_speed must be in (0, 1]", f"holding_speed={self.holding_speed}", "give e.g. 0.7")
        if self.least_confidence > 1:
            given = f"least_confidence={self.least_confidence}"
            raise InputError("least_confidence must be in [0, 1]", given, "give e.g. 0.5; 0 accepts all")
