"""The fields of a Teach goal, checked. No node, no camera."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from molmo_point_msgs.action import Teach

from molmo_point.errors import InputError
from molmo_point.model.taught.object_names import checked_name
from molmo_point.text_checks import checked_words

FIT_S = 30.0
"""Time that a client grants the fit, after the time for the views."""
TIMEOUT_S = 60.0
"""Time for the views of a goal that names none."""
MASKS = {"region": Teach.Goal.REGION, "difference": Teach.Goal.DIFFERENCE, "words": Teach.Goal.WORDS}
"""Constant of every way in which the object is found."""
_VIEWS, MAX_VIEWS = 5, 100
_MOST_NAMES = 16


@dataclass(frozen=True)
class TeachRequest:
    """The fields of a Teach goal.

    Attributes:
        name: Name of the object.
        aliases: Its other names.
        categories: Words that it shares with others.
        mask_from: One of the constants of the goal.
        at: Pixel (u, v) of the object in the image of the camera; None is the only object.
        query: Words for the model below, with WORDS.
        views: Good views to take.
        add: True adds views to an object of this name.
    """

    name: str
    aliases: tuple[str, ...]
    categories: tuple[str, ...]
    mask_from: int
    at: tuple[float, float] | None
    query: str
    views: int
    add: bool

    @classmethod
    def of(cls, goal: Teach.Goal, longest_query: int) -> "TeachRequest":
        """Check a goal.

        Raises:
            InputError: A field cannot be used, or contradicts another one.
        """
        if goal.mask_from not in MASKS.values():
            raise InputError("mask_from must be known", str(goal.mask_from), "use the constants of the goal")
        by_words = goal.mask_from == Teach.Goal.WORDS
        if bool(goal.query.strip()) != by_words:
            raise InputError("query must go with WORDS, and only with it", f"mask_from {goal.mask_from}", "correct one of them")
        if goal.views > MAX_VIEWS:
            raise InputError(f"views must be at most {MAX_VIEWS}", str(goal.views), "ask for fewer")
        return cls(
            checked_name(goal.name),
            _names(goal.aliases, "alias"),
            _names(goal.categories, "category"),
            int(goal.mask_from),
            _pixel(goal),
            checked_words(goal.query, longest=longest_query) if by_words else "",
            int(goal.views) or _VIEWS,
            bool(goal.add),
        )


def _names(names: Sequence[str], role: str) -> tuple[str, ...]:
    if len(names) > _MOST_NAMES:
        raise InputError(f"each {role} must be one of at most {_MOST_NAMES}", str(len(names)), "send fewer")
    return tuple(checked_name(name, role) for name in names)


def _pixel(goal: Teach.Goal) -> tuple[float, float] | None:
    """Return the pixel of the object; None without one.

    A goal whose fields were not set has zeros, which mean nobody's object.
    """
    if goal.mask_from != Teach.Goal.REGION or (math.isnan(goal.u) and math.isnan(goal.v)):
        return None
    if not (math.isfinite(goal.u) and math.isfinite(goal.v)) or not (goal.u or goal.v):
        given = f"u={goal.u:g}, v={goal.v:g}"
        raise InputError("u and v must be a pixel of the object, or NaN for the only one", given, "send a pixel, or NaN in both")
    return float(goal.u), float(goal.v)
