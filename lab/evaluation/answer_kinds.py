"""Accuracy of pointing, counting and denying on household objects, by kind of question."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from molmo_point.errors import NotTrainedError
from molmo_point.evaluation.intervals import share
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.results import ImagePoint


class AskedQuestion(Protocol):
    """One question with its truth; see `lab.evaluation.fresh_scenes.FreshQuestion`."""

    @property
    def frame(self) -> RgbdFrame:
        """The picture."""
        ...

    @property
    def mask(self) -> np.ndarray:
        """Instance mask (h, w), −1 for none."""
        ...

    @property
    def kind(self) -> str:
        """Kind of the question; ``"count"`` and ``"absent"`` are asked and judged in their own way."""
        ...

    @property
    def phrase(self) -> str:
        """Words for the wanted objects."""
        ...

    @property
    def targets(self) -> tuple[int, ...]:
        """Indices in the mask of the objects that fit."""
        ...

    @property
    def middles_px(self) -> np.ndarray:
        """Places to point at, (targets, 2) pixels."""
        ...


@dataclass(frozen=True)
class Verdict:
    """One answer, judged.

    Attributes:
        question: The question.
        points: Points of the answer.
        right: True if the first point lies on an object that fits, the number is right, or nothing was claimed in a scene
            without such an object.
        complete: True if every object that fits has one point on it, and there are no others.
        offset_px: (u, v) pixels from the place to point at; None without a single such place.
        latency_ms: Time of the answer.
    """

    question: AskedQuestion
    points: tuple[ImagePoint, ...]
    right: bool
    complete: bool
    offset_px: tuple[float, float] | None
    latency_ms: float


@dataclass
class Sheet:
    """All verdicts of an evaluation."""

    verdicts: list[Verdict] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Verdict]:
        """Return the verdicts on one kind of question."""
        return [verdict for verdict in self.verdicts if verdict.question.kind == kind]

    def worst(self, count: int) -> list[Verdict]:
        """Return wrong answers: those with the largest offset first, then those without a point."""

        def badness(verdict: Verdict) -> float:
            return float(np.hypot(*verdict.offset_px)) if verdict.offset_px else 1.0

        return sorted((v for v in self.verdicts if not v.right), key=badness, reverse=True)[:count]


def evaluate_household(pointer: Pointer, questions: Iterable[AskedQuestion]) -> Sheet:
    """Ask and judge every question; leave out counts that the model refuses."""
    sheet = Sheet()
    for question in questions:
        if question.kind == "count":
            try:
                answer = pointer.count(question.frame, question.phrase)
            except NotTrainedError:
                continue
            sheet.verdicts.append(judged(question, answer.points, len(answer.points) == 0, answer.timing_ms["total"]))
        else:
            answer = pointer.point(question.frame, question.phrase)
            sheet.verdicts.append(judged(question, answer.points, answer.absent, answer.timing_ms["total"]))
    return sheet


def judged(question: AskedQuestion, points: tuple[ImagePoint, ...], absent: bool, latency_ms: float) -> Verdict:
    """Judge an answer by the truth."""
    targets = question.targets
    hit = [_thing_at(point, question.mask) for point in points]
    complete = sorted(hit) == sorted(targets)
    offset = None
    if not targets:
        right = absent and not points
    elif question.kind == "count":
        right = len(points) == len(targets)
    else:
        right = bool(hit) and hit[0] in targets
        if len(targets) == 1 and points:
            u, v = question.middles_px[0]
            offset = (points[0].u - float(u), points[0].v - float(v))
    return Verdict(question, points, right, complete, offset, latency_ms)


def _thing_at(point: ImagePoint, mask: np.ndarray) -> int:
    row, column = (int(np.clip(round(a), 0, n - 1)) for a, n in zip((point.v, point.u), mask.shape, strict=True))
    return int(mask[row, column])


def summary(sheet: Sheet) -> dict[str, object]:
    """All figures as plain data; shares come with their 95 % interval and number of trials."""
    kinds = sorted({verdict.question.kind for verdict in sheet.verdicts} - {"count", "absent"})
    figures: dict[str, object] = {kind: share([v.right for v in sheet.of_kind(kind)]) for kind in kinds}
    pointing = [v for v in sheet.verdicts if v.question.kind not in ("count", "absent")]
    counts = sheet.of_kind("count")
    misses = [abs(len(v.points) - len(v.question.targets)) for v in counts]
    figures |= {
        "point_in_mask": share([v.right for v in pointing]),
        "all_and_only_what_fits": share([v.complete for v in pointing]),
        "count_exact": share([miss == 0 for miss in misses]),
        "count_within_one": share([miss <= 1 for miss in misses]),
        "absent_recognised": share([v.right for v in sheet.of_kind("absent")]),
    }
    offsets = np.array([v.offset_px for v in pointing if v.offset_px]).reshape(-1, 2)
    distances = np.hypot(*offsets.T)
    near = offsets[distances < 40.0]
    latency = [v.latency_ms for v in pointing]
    return figures | {
        "pixel_error_median": float(np.median(distances)) if len(distances) else float("nan"),
        "latency_ms_median": float(np.median(latency)) if latency else float("nan"),
        # Gross misses are no Gaussian's tail: they are what the shares report.
        "sigma_px_at_640": float(np.sqrt(np.mean(near**2))) if len(near) else float("nan"),
    }
