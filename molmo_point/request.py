"""`PointRequest`: one question about an image, checked once and handed on unchanged."""

import math
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, TypeAlias

from molmo_point.errors import InputError
from molmo_point.results import ImagePoint, Pointing
from molmo_point.text_checks import checked_count, checked_seconds, checked_words

MAX_POINTS = 40
"""Points that an answer keeps by default."""

Near: TypeAlias = tuple[float, float] | ImagePoint | Pointing
"""A place to look at: a pixel (u, v), a point, or all points of an answer."""


class Kind(str, Enum):
    """The kind of a question."""

    POINT = "point"
    COUNT = "count"
    ASK = "ask"
    CAPTION = "caption"


class Surface(str, Enum):
    """The surface to lift a point to where several are plausible.

    NEAR is the nearest one, FAR the one behind it, e.g. the bottom of a box, and CENTER the one
    that the pixel itself shows.
    """

    NEAR = "near"
    FAR = "far"
    CENTER = "center"

    @classmethod
    def _missing_(cls, value: object) -> "Surface":
        if value == "centre":
            return cls.CENTER
        known = ", ".join(repr(surface.value) for surface in cls)
        raise InputError("prefer must be a known surface", repr(value), f"use one of {known}")


@dataclass(frozen=True)
class PointRequest:
    """A question about objects in an image, with everything that its answer depends on.

    Attributes:
        words: The objects in the user's words, e.g. "the handle of the red mug".
        kind: POINT, or COUNT to count them with a point on each.
        max_points: Most points to keep; the model writes no more than it must.
        labels: False stops the model as soon as it has told the coordinates of the wanted points and its
            own label, which is always compared with the words. True lets it end the tag of each point.
        spread: Whether every point also gets its `modes`, at about three more passes a point.
        near: Place to look at; None looks at the whole image.
        near_size_px: Side of the square around `near` in pixels; None takes half of the shorter side.
        prefer: Surface to lift to where several are plausible.
        reference_depth_m: Depth along z in meters for points in free space; None measures it.
        time_budget_s: Seconds after which the model writes no further; None sets no limit.

    Raises:
        InputError: A field has an impossible value.
    """

    words: str
    kind: Kind = Kind.POINT
    max_points: int = MAX_POINTS
    labels: bool = True
    spread: bool = False
    near: Near | None = None
    near_size_px: float | None = None
    prefer: Surface = Surface.NEAR
    reference_depth_m: float | None = None
    time_budget_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", checked_words(self.words))
        object.__setattr__(self, "kind", Kind(self.kind))
        object.__setattr__(self, "prefer", Surface(self.prefer))
        checked_count("max_points", self.max_points, MAX_POINTS)
        if self.time_budget_s is not None:
            object.__setattr__(self, "time_budget_s", checked_seconds("time_budget_s", self.time_budget_s))
        depth_m = self.reference_depth_m
        if depth_m is not None and not (math.isfinite(depth_m) and depth_m > 0):
            fix = "pass the depth along z of a nearby target in meters, or None"
            raise InputError("reference_depth_m must be finite and above zero", repr(depth_m), fix)

    @classmethod
    def of(cls, words: "str | PointRequest", **settings: Any) -> "PointRequest":
        """Make a request from words and keywords, or take one as it is.

        Args:
            words: The words, or a whole request.
            settings: Fields by name; with a request only those that differ from their defaults count.

        Raises:
            InputError: A field has an impossible value, or a request comes with other settings.
        """
        if not isinstance(words, PointRequest):
            return cls(words, **settings)
        defaults = {field.name: field.default for field in fields(cls)}
        changed = sorted(name for name, value in settings.items() if name != "kind" and value != defaults[name])
        if changed:
            fix = "put them into the request, e.g. with dataclasses.replace"
            raise InputError("settings must be part of the request", ", ".join(changed), fix)
        return replace(words, kind=settings["kind"]) if settings.get("kind", words.kind) != words.kind else words

    @property
    def deadline_after_s(self) -> float:
        """Time budget in seconds; infinite without one."""
        return math.inf if self.time_budget_s is None else self.time_budget_s
