"""Accuracy of tracked points in front of real frames, by the cause that loses points."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.tracking.real_sequences import REAL_KINDS, RealStep, real_sequence
from benchmarks.tracking.real_views import RealView
from molmo_point.depth.lift import lift_points
from molmo_point.geometry.depth_noise import D435
from molmo_point.results import ImagePoint, Pointing
from molmo_point.tracking.point_tracker import PointTracker
from molmo_point.tracking.track import Tracks
from molmo_point.tracking.tracked_view import import_cv2

RATES = {30.0: 98, 10.0: 49}
"""Frames per second, and frames of a sequence."""
SIGMA_PX = 2.0
WRONG_PX, WRONG_MM, WRONG_SIGMAS = 10.0, 20.0, 5.0
"""A claim is wrong beyond this distance in the image, or beyond this distance in space, or sigmas of a D435 where more."""


@dataclass
class RealScore:
    """Counts over points and frames after the first.

    Attributes:
        visible: Frames in which the point was to be seen.
        answered: Of these, those with a target.
        hidden: Frames in which it was not.
        claimed_hidden: Of these, those with a target.
        wrong: Targets far from the point.
        error_px: Errors of the targets.
        error_mm: Errors of the targets.
        return_s: Times from each return into view to the next target; infinite without one.
        states: Visible frames without a target, by state and reason.
        frame_ms: Processor time per frame.
    """

    visible: int = 0
    answered: int = 0
    hidden: int = 0
    claimed_hidden: int = 0
    wrong: int = 0
    error_px: list[float] = field(default_factory=list)
    error_mm: list[float] = field(default_factory=list)
    return_s: list[float] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    frame_ms: list[float] = field(default_factory=list)


def evaluate_real(views: Sequence[RealView], sequences: int, first_seed: int) -> dict[float, dict[str, RealScore]]:
    """Track points in sequences of every kind, each at every rate; OpenCV on one thread.

    Args:
        views: The real frames, which take turns.
        sequences: Number of sequences for each rate; the kinds take turns.
        first_seed: Seed of the first.
    """
    cv2 = import_cv2()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    scores = {rate: {kind: RealScore() for kind in REAL_KINDS} for rate in RATES}
    try:
        for number in tqdm(range(sequences), desc="sequences", unit="sequence"):
            kind, view = REAL_KINDS[number % len(REAL_KINDS)], views[(number + number // len(REAL_KINDS)) % len(views)]
            for rate_hz, frames in RATES.items():
                steps = real_sequence(view, kind, first_seed + number, rate_hz, frames)
                score_sequence(steps, scores[rate_hz][kind])
    finally:
        cv2.setNumThreads(threads)
    return scores


def score_sequence(steps: Iterable[RealStep], score: RealScore) -> None:
    """Track the points of one sequence after one answer about its first frame."""
    tracker = PointTracker()
    hidden_since: dict[int, bool] = {}
    returned: dict[int, int] = {}
    for number, step in enumerate(steps):
        start = time.process_time()
        tracks = tracker.update(step.frame)
        took_ms = 1e3 * (time.process_time() - start)
        if number == 0:
            tracker.correct(_answer(step))
            continue
        score.frame_ms.append(took_ms)
        answered = _judge(step, tracks, score)
        for index, visible in enumerate(step.visible):
            if visible and hidden_since.get(index, False):
                returned[index] = step.frame.stamp_ns
            if not visible:
                returned.pop(index, None)
            elif index in returned and answered[index]:
                score.return_s.append((step.frame.stamp_ns - returned.pop(index)) * 1e-9)
            hidden_since[index] = not visible
    score.return_s += [np.inf] * len(returned)


def _answer(step: RealStep) -> Pointing:
    points = [ImagePoint(float(u), float(v), f"point {index}", 1.0, SIGMA_PX) for index, (u, v) in enumerate(step.uv)]
    found = lift_points(points, step.frame)
    return Pointing("the points", "scripted", "", False, found, {}, step.frame.stamp_ns, step.frame.frame)


def _judge(step: RealStep, tracks: Tracks, score: RealScore) -> list[bool]:
    """Count the claims of one frame; returns True for each point with a target."""
    of_point = {int(track.label.split()[-1]): track for track in tracks.tracks}
    answered = []
    for index, visible in enumerate(step.visible):
        track = of_point.get(index)
        target = None if track is None else track.target
        answered.append(target is not None)
        score.visible += bool(visible)
        score.hidden += not visible
        if target is None or track is None:
            name = "none" if track is None else f"{track.state.value} {track.reason.value}"
            score.states[name] = score.states.get(name, 0) + bool(visible)
            continue
        score.answered += bool(visible)
        score.claimed_hidden += not visible
        error_px = float(np.linalg.norm(track.point.uv - step.uv[index]))
        error_mm = 1e3 * float(np.linalg.norm(target.position_m - step.position_m[index]))
        limit_mm = max(WRONG_MM, 1e3 * WRONG_SIGMAS * float(D435.sigma_z(float(step.position_m[index, 2]), 600.0)))
        score.wrong += error_px > WRONG_PX or error_mm > limit_mm
        score.error_px.append(error_px)
        score.error_mm.append(error_mm)
    return answered


def real_figures(scores: dict[float, dict[str, RealScore]]) -> dict[str, Any]:
    """All figures as plain data."""
    rates = {}
    for rate, kinds in scores.items():
        total = RealScore()
        for name in vars(total):
            values = [vars(score)[name] for score in kinds.values()]
            if isinstance(values[0], dict):
                total.states = {key: sum(v.get(key, 0) for v in values) for key in sorted({k for v in values for k in v})}
            elif isinstance(values[0], list):
                setattr(total, name, [each for value in values for each in value])
            else:
                setattr(total, name, sum(values))
        rates[f"{rate:g} Hz"] = {"all": _figures(total), **{kind: _figures(score) for kind, score in kinds.items()}}
    return {"benchmark": "tracking on real frames", "rates": rates}


def _figures(score: RealScore) -> dict[str, Any]:
    claims = len(score.error_px)
    return {
        "visible": score.visible,
        "answered": score.answered / score.visible if score.visible else None,
        "claims": claims,
        "wrong": score.wrong,
        "hidden": score.hidden,
        "claimed_hidden": score.claimed_hidden,
        "error_px_median": _quantile(score.error_px, 0.5),
        "error_px_95": _quantile(score.error_px, 0.95),
        "error_mm_median": _quantile(score.error_mm, 0.5),
        "error_mm_95": _quantile(score.error_mm, 0.95),
        "returns": len(score.return_s),
        "return_s_median": _quantile(score.return_s, 0.5),
        "never_again": int(np.isinf(score.return_s).sum()),
        "frame_ms_median": _quantile(score.frame_ms, 0.5),
        "frame_ms_95": _quantile(score.frame_ms, 0.95),
        "without_target": score.states,
    }


def _quantile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    value = float(np.quantile(values, share, method="lower"))
    return value if np.isfinite(value) else None


def real_table(figures: dict[str, Any]) -> str:
    """The figures as Markdown, one table for each rate."""
    errors = "error px, median | 95 % | mm, median | 95 %"
    head = f"target when visible | {errors} | wrong claims | back after, s | never | ms, median | 95 %"
    lines = []
    for rate, kinds in figures["rates"].items():
        lines += ["", f"| {rate} | {head} |", "|---" * 11 + "|"]
        for kind, row in kinds.items():
            numbers = [row[n] for n in ("error_px_median", "error_px_95", "error_mm_median", "error_mm_95")]
            cells = [_percent(row["answered"]), *map(_number, numbers), f"{row['wrong']} of {row['claims']}"]
            cells += [_number(row["return_s_median"], 2), f"{row['never_again']} of {row['returns']}"]
            cells += [_number(row["frame_ms_median"]), _number(row["frame_ms_95"])]
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines[1:])


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"
