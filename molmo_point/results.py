"""Results of every stage: completions, image points, targets, and the answers to a request.

Everything is frozen. `to_dict` gives plain JSON: NaN becomes null, arrays become flat lists.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.cautions import Caution
from molmo_point.errors import FrameError
from molmo_point.geometry.transforms import Transform
from molmo_point.patch_features import PatchFeatures
from molmo_point.plain_json import plain_json


class DepthStatus(str, Enum):
    """Knowledge about the depth at a point.

    OK is one clear surface and AMBIGUOUS the chosen one of several, or a background
    with holes that may hide a transparent object. MISSING is a hole,
    OUT_OF_RANGE a depth that the camera cannot measure, STALE depth of another moment, and
    NO_INPUT a frame without depth or intrinsics.

    Without a depth camera, ON_PLANE is a ray that meets a known plane, and TRIANGULATED a point seen in several
    views. NO_CROSSING is a ray that does not meet the plane within range, NO_PARALLAX views from too near to one
    another, and NO_MATCH a point that no other view confirms.
    """

    OK = "OK"
    MISSING = "MISSING"
    AMBIGUOUS = "AMBIGUOUS"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    STALE = "STALE"
    NO_INPUT = "NO_INPUT"
    ON_PLANE = "ON_PLANE"
    TRIANGULATED = "TRIANGULATED"
    NO_CROSSING = "NO_CROSSING"
    NO_PARALLAX = "NO_PARALLAX"
    NO_MATCH = "NO_MATCH"


@dataclass(frozen=True)
class StatedPoint:
    """Quality of one point of an answer, as a model states it that writes no tokens.

    Attributes:
        written: x and y as the answer has them.
        probability: Probability that the point lies on an object that was meant, 0 to 1.
        sigma_px: Standard deviation of u and of v in pixels.
    """

    written: tuple[str, str]
    probability: float
    sigma_px: float


@dataclass(frozen=True)
class StatedQuality:
    """Quality of an answer, as a model states it that writes no tokens.

    Attributes:
        points: Quality of each point.
        count_probability: Probability that no point is wrong and none is missing, 0 to 1.
        cautions: Reasons for doubting the answer that only the model knows.
    """

    points: tuple[StatedPoint, ...] = ()
    count_probability: float = math.nan
    cautions: tuple[Caution, ...] = ()


@dataclass(frozen=True)
class Completion:
    """A model's answer as text, with the probabilities behind it.

    Attributes:
        text: The answer, without the prompt.
        token_count: Number of tokens generated.
        finish_reason: "stop", "length" or "cancelled"; "points" once all wanted points were out,
            "time" once the time budget was used up; "unfinished" while the model still writes.
        timing_ms: Named stages in milliseconds.
        tokens: Text of each token, in order; empty when the backend does not tell.
        token_probabilities: Probability of each token, 0 to 1; empty when it does not tell.
        digit_probabilities: Probabilities of "0" to "9" in the place of each token that is a digit,
            () for other tokens; empty when the backend does not tell.
        absent_probability: Probability, before the first word, of an answer that denies the object,
            0 to 1; NaN when the backend does not tell.
        passes: Forward passes of the model after the first; -1 when the backend does not tell.
        features: Vision features of the image; None when the backend does not tell.
        stated: Quality that the model states itself; None of a model whose tokens tell it.
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
    features: PatchFeatures | None = field(default=None, compare=False, repr=False)
    stated: StatedQuality | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form, without the vision features, and without what is stated if nothing is."""
        hidden = ("features",) if self.stated is not None else ("features", "stated")
        return plain_json({name: value for name, value in vars(self).items() if name not in hidden})


@dataclass(frozen=True, eq=False)
class PointMode:
    """One of the places where a point may be, from the model's own probabilities.

    Attributes:
        weight: Share of the probability, 0 to 1.
        u: Mean column in pixels.
        v: Mean row in pixels.
        covariance_px2: (2, 2) of u and v in square pixels.
    """

    weight: float
    u: float
    v: float
    covariance_px2: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form; the covariance is row-major."""
        return plain_json({**vars(self), "covariance_px2": self.covariance_px2.reshape(-1)})


@dataclass(frozen=True)
class ImagePoint:
    """A point in the image.

    Attributes:
        u: Column in pixels; 0 is the center of the leftmost pixel, so -0.5 is the left edge.
        v: Row in pixels; 0 is the center of the topmost pixel.
        label: The model's name of the object.
        confidence: Calibrated probability that the point lies on an object that was meant, 0 to 1.
            NaN without a calibration, and under cautions.
        sigma_px: Standard deviation of u and of v in pixels, from `modes` where there are any;
            NaN when unknown.
        index: The model's own number of the point (x3, y3 is 3); None without one.
        image_index: Number of the image among several, from 0; 0 for a single image.
        time_s: Moment of a video in seconds; NaN outside videos.
        object_id: The model's number of the object, constant along a track; None without tracks.
        modes: Places where the point may be, likeliest first; empty unless asked for.
        digit_probability: The model's own probability of coordinates near the written ones, 0 to 1.
            It says nothing about the right object. NaN when unknown.
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
    digit_probability: float = math.nan

    @property
    def uv(self) -> FloatArray:
        """Pixel (2,)."""
        return np.array([self.u, self.v])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form: u, v, label, confidence, sigma_px; other fields where they are set."""
        always = ("u", "v", "label", "confidence", "sigma_px")
        values = plain_json({**vars(self), "image_index": self.image_index or None})
        values["modes"] = [mode.to_dict() for mode in self.modes] or None
        return {name: value for name, value in values.items() if name in always or value is not None}


@dataclass(frozen=True, eq=False)
class Target:
    """A point in space; every number is finite, except where NaN is said to mean something.

    Attributes:
        u: Column of the lifted pixel; it differs from the model's after a snap onto the surface.
        v: Row of the lifted pixel.
        label: The model's name of the object.
        confidence: Confidence of the image point, 0 to 1; NaN when unknown.
        position_m: (3,) in `frame`, in meters.
        covariance_m2: (3, 3) in `frame`, in square meters.
        frame: Frame of the position.
        stamp_ns: Capture time in nanoseconds.
        depth_status: OK or AMBIGUOUS; ON_PLANE or TRIANGULATED without a depth camera.
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
        """Standard deviation along the least certain direction, in meters."""
        return float(math.sqrt(max(0.0, np.linalg.eigvalsh(self.covariance_m2)[-1])))

    def transformed(self, transform: Transform) -> "Target":
        """Return the target in the transform's target frame; the transform's covariance is added.

        Raises:
            FrameError: The transform does not take points of this frame.
        """
        if transform.source != self.frame:
            raise FrameError(
                "transform must take points of the target's frame",
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
        """Return the JSON-able form; the covariance is row-major."""
        return plain_json({**vars(self), "covariance_m2": self.covariance_m2.reshape(-1)})


@dataclass(frozen=True)
class Unreachable:
    """The reason why an image point has no position in space.

    Attributes:
        u: Column of the model's point.
        v: Row of the model's point.
        label: The model's name of the object.
        reason: MISSING, OUT_OF_RANGE, STALE, NO_INPUT, NO_CROSSING, NO_PARALLAX or NO_MATCH.
        message: The reason in words, with figures.
    """

    u: float
    v: float
    label: str
    reason: DepthStatus
    message: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return plain_json(self)


@dataclass(frozen=True, eq=False)
class Found:
    """One object that was found: its point, and its target or the reason why it has none.

    Attributes:
        point: The point in the image.
        target: The point in space; None when it has no trustworthy depth.
        reason: The reason for the missing target; None when there is a target.
    """

    point: ImagePoint
    target: Target | None
    reason: Unreachable | None = None

    @classmethod
    def of(cls, point: ImagePoint, lifted: Target | Unreachable) -> "Found":
        """Join a point with the result of lifting it."""
        return cls(point, lifted, None) if isinstance(lifted, Target) else cls(point, None, lifted)

    @property
    def lifted(self) -> "Target | Unreachable":
        """The target, or the reason why there is none."""
        missing = Unreachable(self.point.u, self.point.v, self.point.label, DepthStatus.NO_INPUT, "the point was not lifted")
        return self.target or self.reason or missing


@dataclass(frozen=True, eq=False)
class Pointing:
    """The answer to "point to ...": an iterable of `Found` with `len` and `best`.

    Attributes:
        query: The words that were asked for.
        model: Name of the model.
        text: The model's answer.
        absent: True when the model says that nothing in the image fits.
        found: Everything that was found, in the model's order.
        timing_ms: Named stages in milliseconds.
        stamp_ns: Capture time of the frame in nanoseconds.
        frame: Optical frame of the image.
        problems: Faults of the model's text, in words; empty without any.
        truncated: True when the text ended before the answer did.
        absent_probability: Calibrated probability that nothing in the image fits, if half of all
            questions were about absent objects. NaN without a calibration, and under cautions that
            leave it unknown.
        region: (x0, y0, w, h) in pixels of the part that was looked at; None for the whole image.
        cautions: Reasons for doubting the answer, each kind once; empty without any.
        denial_probability: The model's own probability of denying the object; NaN when unknown.
        signals: Numbers that the confidences are calibrated from, by their names in
            `molmo_point.trust.answer_model.AnswerFeatures`; unknown ones are left out.
    """

    query: str
    model: str
    text: str
    absent: bool
    found: tuple[Found, ...]
    timing_ms: Mapping[str, float]
    stamp_ns: int
    frame: str
    problems: tuple[str, ...] = ()
    truncated: bool = False
    absent_probability: float = math.nan
    region: tuple[int, int, int, int] | None = None
    cautions: tuple[Caution, ...] = ()
    denial_probability: float = math.nan
    signals: Mapping[str, float] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        """Return whether the answer bears no caution."""
        return not self.cautions

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Found]:
        return iter(self.found)

    def __bool__(self) -> bool:
        """Return whether anything was found."""
        return bool(self.found)

    @property
    def best(self) -> Found | None:
        """The most confident object, one with a target first; without confidences the highest `digit_probability`."""

        def rank(found: Found) -> tuple[bool, bool, float]:
            confidence, stated = found.point.confidence, found.point.digit_probability
            known = math.isfinite(confidence)
            return found.target is not None, known, confidence if known else stated if math.isfinite(stated) else -1.0

        return max(self.found, key=rank, default=None)

    @property
    def points(self) -> tuple[ImagePoint, ...]:
        """All points, in the model's order."""
        return tuple(found.point for found in self.found)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The points that have a position in space."""
        return tuple(found.target for found in self.found if found.target is not None)

    @property
    def unreachable(self) -> tuple[Unreachable, ...]:
        """The reasons of the points that have no position in space."""
        return tuple(found.reason for found in self.found if found.reason is not None)

    def transformed(self, transform: Transform) -> "Pointing":
        """Return the answer with its targets in the transform's target frame.

        Raises:
            FrameError: The transform does not take points of the targets' frame.
        """
        moved = (f if f.target is None else replace(f, target=f.target.transformed(transform)) for f in self.found)
        return replace(self, found=tuple(moved))

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `molmo-point point --json` prints.

        `point` of a target or of an unreachable point is its place in `points`.
        """
        numbered = list(enumerate(self.found))
        values = vars(self) | {
            "trusted": self.trusted,
            "cautions": [caution.to_dict() for caution in self.cautions],
            "points": [found.point.to_dict() for found in self.found],
            "targets": [{"point": k, **f.target.to_dict()} for k, f in numbered if f.target is not None],
            "unreachable": [{"point": k, **f.reason.to_dict()} for k, f in numbered if f.reason is not None],
        }
        return plain_json({name: value for name, value in values.items() if name != "found"})


@dataclass(frozen=True)
class Count:
    """The answer to "how many ...".

    Attributes:
        query: The words that were counted.
        model: Name of the model.
        text: The model's answer.
        count: Number of points, or the stated number when there are no points.
        stated_count: The number in "shows a total of N"; None when none is stated.
        points: The counted points.
        consistent: False when the stated number is not the number of points, or when the
            answer was cut off or could not be read.
        timing_ms: Named stages in milliseconds.
        problems: Faults of the model's text, in words; empty without any.
        stamp_ns: Capture time of the frame in nanoseconds.
        frame: Optical frame of the image.
        cautions: Reasons for doubting the answer, each kind once; empty without any.
        confidence: Calibrated probability that the count is right, 0 to 1; NaN when unknown.
        signals: Numbers that the confidence is calibrated from, as in `Pointing`.
    """

    query: str
    model: str
    text: str
    count: int
    stated_count: int | None
    points: tuple[ImagePoint, ...]
    consistent: bool
    timing_ms: Mapping[str, float]
    problems: tuple[str, ...] = ()
    stamp_ns: int = 0
    frame: str = ""
    cautions: tuple[Caution, ...] = ()
    confidence: float = math.nan
    signals: Mapping[str, float] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        """Return whether the answer bears no caution."""
        return not self.cautions

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `molmo-point count --json` prints."""
        lists = {"points": self.points, "cautions": self.cautions}
        values = {name: [each.to_dict() for each in items] for name, items in lists.items()}
        return plain_json(vars(self) | {"trusted": self.trusted} | values)
