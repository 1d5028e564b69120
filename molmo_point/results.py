"""What the stages hand on: completions, image points, targets, and the answers to a query.

Everything is frozen. `to_dict` gives plain JSON: NaN becomes null, arrays become flat lists.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.errors import FrameError
from molmo_point.geometry.transforms import Transform

FloatArray = NDArray[np.float64]


class DepthStatus(str, Enum):
    """Knowledge about the depth at a point."""

    OK = "OK"
    MISSING = "MISSING"
    AMBIGUOUS = "AMBIGUOUS"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    STALE = "STALE"
    NO_INPUT = "NO_INPUT"


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: The answer, without the prompt.
        token_count: Number of tokens generated.
        finish_reason: "stop", "length" or "cancelled"; "points" when all points that were wanted
            were out, "time" when the time budget was used up.
        timing_ms: Named stages in milliseconds.
        tokens: The text of each token, in order; empty when the backend does not tell.
        token_probabilities: Probability of each token, 0 to 1; empty when it does not tell.
        digit_probabilities: For each token that is a digit, the probabilities of "0" to "9" in its
            place, () for the others; empty when the backend does not tell.
        absent_probability: The model's probability, before its first word, of saying that nothing
            is there, 0 to 1; NaN when the backend does not tell.
        passes: Forward passes of the model after the first; -1 when the backend does not tell.
    """

    text: str
    token_count: int
    finish_reason: str
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    token_probabilities: tuple[float, ...] = ()
    digit_probabilities: tuple[tuple[float, ...], ...] = ()
    absent_probability: float = math.nan
    passes: int = -1

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "text": self.text,
            "token_count": self.token_count,
            "finish_reason": self.finish_reason,
            "timing_ms": _timing(self.timing_ms),
            "tokens": list(self.tokens),
            "token_probabilities": [_number(value) for value in self.token_probabilities],
            "digit_probabilities": [[_number(p) for p in digits] for digits in self.digit_probabilities],
            "absent_probability": _number(self.absent_probability),
            "passes": self.passes,
        }


@dataclass(frozen=True, eq=False)
class PointMode:
    """One of the places where a point may be, from the model's own probabilities.

    Attributes:
        weight: Its share of the probability, 0 to 1.
        u: Mean, pixels.
        v: Likewise.
        covariance_px2: (2, 2) of u and v, in square pixels.
    """

    weight: float
    u: float
    v: float
    covariance_px2: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; the covariance is row-major."""
        return {
            "weight": _number(self.weight),
            "u": _number(self.u),
            "v": _number(self.v),
            "covariance_px2": [_number(value) for value in self.covariance_px2.reshape(-1)],
        }


@dataclass(frozen=True)
class ImagePoint:
    """A point in the image.

    Attributes:
        u: Pixels to the right; 0 is the centre of the leftmost pixel, so -0.5 is the left edge.
        v: Pixels down, likewise.
        label: What the model says is there.
        confidence: Where the checkpoint was calibrated, the probability that the point lies on the
            thing, 0 to 1, if the thing is there; else the probability of the coordinates' digits,
            which is no such thing. NaN when not known.
        sigma_px: Standard deviation of u and of v in pixels, from `modes` where there are any;
            NaN when not known.
        index: The model's own number of the point (x3, y3 is 3); None without one.
        image_index: Which of several images it is in, from 0; 0 where there is one.
        time_s: Which moment of a video it is in, in seconds; NaN outside videos.
        object_id: The model's number of the object that it is on, the same at all times of a track;
            None where the model does not follow objects.
        modes: The places where it may be, likeliest first; empty where nobody asked for them.
    """

    u: float
    v: float
    label: str
    confidence: float = math.nan
    sigma_px: float = math.nan
    index: int | None = None
    image_index: int = 0
    time_s: float = math.nan
    object_id: int | None = None
    modes: tuple[PointMode, ...] = ()

    @property
    def uv(self) -> FloatArray:
        """Pixel (2,)."""
        return np.array([self.u, self.v])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: u, v, label, confidence, sigma_px; the others where they say something."""
        shared = {
            "u": _number(self.u),
            "v": _number(self.v),
            "label": self.label,
            "confidence": _number(self.confidence),
            "sigma_px": _number(self.sigma_px),
        }
        special = {
            "image_index": self.image_index or None,
            "time_s": _number(self.time_s),
            "object_id": self.object_id,
            "modes": [mode.to_dict() for mode in self.modes] or None,
        }
        return shared | {name: value for name, value in special.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Target:
    """A point in space, always finite.

    Attributes:
        u: Pixel that was lifted (may differ from the model's by a snap onto the surface).
        v: Likewise.
        label: What the model says is there.
        confidence: Of the image point, 0 to 1; NaN when not known.
        position_m: (3,) in `frame`, in metres.
        covariance_m2: (3, 3) in `frame`, in square metres.
        frame: The frame of the position.
        stamp_ns: Capture time in nanoseconds.
        depth_status: OK or AMBIGUOUS.
        alternate_depth_m: Camera depth of the other plausible surface; NaN when there is none.
        valid_ratio: Share of the window that had usable depth, 0 to 1.
    """

    u: float
    v: float
    label: str
    confidence: float
    position_m: FloatArray
    covariance_m2: FloatArray
    frame: str
    stamp_ns: int
    depth_status: DepthStatus
    alternate_depth_m: float
    valid_ratio: float

    @property
    def sigma_m(self) -> float:
        """Standard deviation along the least certain direction, in metres."""
        return float(math.sqrt(max(0.0, np.linalg.eigvalsh(self.covariance_m2)[-1])))

    def transformed(self, transform: Transform) -> "Target":
        """The same target in the transform's target frame; its covariance is added.

        Raises:
            FrameError: If the transform does not take points of this frame.
        """
        if transform.source != self.frame:
            raise FrameError(
                "The transform does not take points of the target's frame",
                f"target in {self.frame!r}, transform {transform.target}_T_{transform.source}",
                f"use the transform from {self.frame!r} to {transform.target!r} at the capture time",
            )
        return replace(
            self,
            position_m=transform.apply(self.position_m, self.frame),
            covariance_m2=transform.apply_covariance(self.covariance_m2, self.position_m),
            frame=transform.target,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; the covariance is row-major."""
        return {
            "u": _number(self.u),
            "v": _number(self.v),
            "label": self.label,
            "position_m": [_number(value) for value in self.position_m],
            "covariance_m2": [_number(value) for value in self.covariance_m2.reshape(-1)],
            "frame": self.frame,
            "depth_status": self.depth_status.value,
            "alternate_depth_m": _number(self.alternate_depth_m),
            "valid_ratio": _number(self.valid_ratio),
        }


@dataclass(frozen=True)
class Unreachable:
    """An image point that has no position in space, and why.

    Attributes:
        u: Pixel of the model's answer.
        v: Likewise.
        label: What the model says is there.
        reason: MISSING, OUT_OF_RANGE, STALE or NO_INPUT.
        message: The reason in words, with figures.
    """

    u: float
    v: float
    label: str
    reason: DepthStatus
    message: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: u, v, label, reason."""
        return {
            "u": _number(self.u),
            "v": _number(self.v),
            "label": self.label,
            "reason": self.reason.value,
        }


@dataclass(frozen=True, eq=False)
class Pointing:
    """The answer to "point to ...".

    Attributes:
        query: What was asked for.
        model: Name of the model.
        text: What the model wrote.
        absent: True when the model says that nothing in the image fits.
        points: All points, in the model's order.
        targets: The points that have a position in space.
        unreachable: The points that have none, each with its reason.
        timing_ms: Named stages in milliseconds.
        stamp_ns: Capture time of the frame.
        frame: Optical frame of the image.
        problems: What was wrong with the model's text, in words; empty when nothing was.
        truncated: True when the text ended before the answer did.
        absent_probability: Where the checkpoint was calibrated, the probability that nothing in the
            image fits, if half of all questions were about such things; else the model's
            probability, before its first word, of saying so. NaN when the backend does not tell.
        region: (x0, y0, w, h) in pixels of the part of the image that was looked at; None = all of it.
    """

    query: str
    model: str
    text: str
    absent: bool
    points: tuple[ImagePoint, ...]
    targets: tuple[Target, ...]
    unreachable: tuple[Unreachable, ...]
    timing_ms: Mapping[str, float]
    stamp_ns: int
    frame: str
    problems: tuple[str, ...] = ()
    truncated: bool = False
    absent_probability: float = math.nan
    region: tuple[int, int, int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The object that `molmo-point point --json` prints."""
        return {
            "query": self.query,
            "model": self.model,
            "text": self.text,
            "absent": self.absent,
            "points": [point.to_dict() for point in self.points],
            "targets": [target.to_dict() for target in self.targets],
            "unreachable": [point.to_dict() for point in self.unreachable],
            "timing_ms": _timing(self.timing_ms),
            **({} if self.region is None else {"region": list(self.region)}),
        }


@dataclass(frozen=True)
class Count:
    """The answer to "how many ...".

    Attributes:
        query: What was counted.
        model: Name of the model.
        text: What the model wrote.
        count: Number of points, or the stated number when there are no points.
        stated_count: The number in "shows a total of N"; None when none is stated.
        points: The counted points.
        consistent: False when the stated number is not the number of points, or when the
            answer was cut off or could not be read.
        timing_ms: Named stages in milliseconds.
    """

    query: str
    model: str
    text: str
    count: int
    stated_count: int | None
    points: tuple[ImagePoint, ...]
    consistent: bool
    timing_ms: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The object that `molmo-point count --json` prints."""
        return {
            "query": self.query,
            "model": self.model,
            "text": self.text,
            "count": self.count,
            "stated_count": self.stated_count,
            "points": [point.to_dict() for point in self.points],
            "consistent": self.consistent,
            "timing_ms": _timing(self.timing_ms),
        }


def _number(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _timing(timing_ms: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in timing_ms.items()}
