"""Accuracy of points in moving scenes between two answers of a slow model."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.tracking.moving_points import ASK_EVERY_S, FPS, LATENCY_S, MeantPoint, Step, answer, sequence
from benchmarks.tracking.moving_scene import KINDS
from benchmarks.tracking.peers import CONTESTANTS, Claim, Contestant, Tracker
from molmo_point.evaluation.intervals import wilson
from molmo_point.tracking.track import TrackState

FIRST_SEED = 700_000
SECONDS = 3.5
GROSS_MM = 20.0
COVERAGE = {"68 %": 3.506, "95 %": 7.815}
"""Squared Mahalanobis distances that hold these shares in three dimensions."""


@dataclass
class Score:
    """One contestant in one kind of sequence; lists have one entry per point and frame.

    Attributes:
        visible: Frames in which the point was to be seen.
        answered: Of these, those with a claim.
        hidden: Frames in which it was not.
        claimed_hidden: Of these, those with a claim all the same.
        error_px: Distance of the claimed pixel from the meant point.
        drift_px: Distance from what the first answer hit, before the second came.
        error_mm: Distance of the claimed position from the meant point.
        time_s: When.
        wrong: Claims whose pixel does not show the object.
        claimed: All claims.
        inside: Claims whose ellipsoid holds the truth, by its nominal share.
        with_covariance: Claims that have an ellipsoid, where the point was visible.
        lost_visible: Tracks that were given up while the point was to be seen.
        lost_hidden: Tracks that were given up while it was not.
        reasons: Why tracks were lost, counted.
    """

    visible: int = 0
    answered: int = 0
    hidden: int = 0
    claimed_hidden: int = 0
    error_px: list[float] = field(default_factory=list)
    drift_px: list[float] = field(default_factory=list)
    error_mm: list[float] = field(default_factory=list)
    time_s: list[float] = field(default_factory=list)
    wrong: int = 0
    claimed: int = 0
    inside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COVERAGE, 0))
    with_covariance: int = 0
    lost_visible: int = 0
    lost_hidden: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass
class Results:
    """All scores by contestant and kind, and the times of our tracker in milliseconds."""

    scores: dict[str, dict[str, Score]]
    sequences: int = 0
    points: int = 0
    frame_ms: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)


def evaluate(sequences: int, first_seed: int = FIRST_SEED, seconds: float = SECONDS, simulator: str = "kind") -> Results:
    """Run all contestants over sequences of every kind in turn.

    Args:
        sequences: How many; eight kinds take turns.
        first_seed: Sequence k has `first_seed + k`.
        seconds: Length of each.
        simulator: Depth camera, one of `SIMULATORS`.
    """
    results = Results({name: {kind: Score() for kind in KINDS} for name in CONTESTANTS})
    for number in tqdm(range(sequences), desc="sequences", unit="sequence"):
        kind = KINDS[number % len(KINDS)]
        seed = first_seed + number
        run_sequence(sequence(kind, seed, seconds, simulator=simulator), kind, np.random.default_rng([seed, 1]), results)
    return results


def run_sequence(steps: Iterable[Step], kind: str, rng: np.random.Generator, results: Results) -> None:
    """Show one sequence to all contestants, with an answer every two seconds that takes one to come."""
    contestants: dict[str, Contestant] = {name: make() for name, make in CONTESTANTS.items()}
    waiting: list[tuple[int, Step, Any]] = []
    lost: set[int] = set()
    heard = 0
    for number, step in enumerate(steps):
        if number == 0:
            results.sequences += 1
            results.points += len(step.meant)
        if number % round(ASK_EVERY_S * FPS) == 0:
            due = number + round(LATENCY_S * FPS)
            waiting.append((due, step, answer(step, rng, first=number == 0)))
        for contestant in contestants.values():
            contestant.see(step)
        while waiting and waiting[0][0] <= number:
            _, asked, pointing = waiting.pop(0)
            heard += 1
            for contestant in contestants.values():
                contestant.hear(pointing, asked)
        if heard:
            for name, contestant in contestants.items():
                _judge(results.scores[name][kind], step, contestant.claims(step), heard == 1)
            ours = contestants["molmo_point"]
            assert isinstance(ours, Tracker)
            _judge_losses(results.scores["molmo_point"][kind], step, ours, lost)
    ours = contestants["molmo_point"]
    assert isinstance(ours, Tracker)
    results.frame_ms += ours.frame_ms
    results.answer_ms += ours.answer_ms


def _judge(score: Score, step: Step, claims: dict[str, Claim], first_answer: bool) -> None:
    for index, point in enumerate(step.meant):
        claim = claims.get(f"point {index}")
        visible = step.sees(point, point.meant_m)
        score.visible += visible
        score.hidden += not visible
        if claim is None:
            continue
        score.answered += visible
        score.claimed_hidden += not visible
        score.claimed += 1
        score.wrong += not step.on_object(point, claim.uv)
        if visible:
            _measure(score, step, point, claim, first_answer)


def _measure(score: Score, step: Step, point: MeantPoint, claim: Claim, first_answer: bool) -> None:
    uv, p_camera = step.place(point, point.meant_m)
    error_m = claim.position_m - p_camera
    score.error_px.append(float(np.linalg.norm(claim.uv - uv)))
    score.error_mm.append(1e3 * float(np.linalg.norm(error_m)))
    score.time_s.append(step.time_s)
    if first_answer and step.sees(point, point.clicked_m):
        clicked, _ = step.place(point, point.clicked_m)
        score.drift_px.append(float(np.linalg.norm(claim.uv - clicked)))
    if claim.covariance_m2 is not None:
        distance = float(error_m @ np.linalg.solve(claim.covariance_m2, error_m))
        score.with_covariance += 1
        for name, limit in COVERAGE.items():
            score.inside[name] += distance <= limit


def _judge_losses(score: Score, step: Step, ours: Tracker, lost: set[int]) -> None:
    for track in ours.tracks.tracks if ours.tracks else ():
        if track.state is not TrackState.LOST:
            lost.discard(track.id)
        elif track.id not in lost:
            lost.add(track.id)
            point = step.meant[int(track.label.split()[-1])]
            if step.sees(point, point.meant_m):
                score.lost_visible += 1
            else:
                score.lost_hidden += 1
            score.reasons[track.reason.value] = score.reasons.get(track.reason.value, 0) + 1


def merged(scores: Iterable[Score]) -> Score:
    """Several scores as one."""
    total = Score()
    for score in scores:
        for name, value in vars(score).items():
            mine = getattr(total, name)
            if isinstance(value, dict):
                for key, count in value.items():
                    mine[key] = mine.get(key, 0) + count
            else:
                setattr(total, name, mine + value)
    return total


def figures(score: Score) -> dict[str, Any]:
    """A score as plain data; shares are 0 to 1, what was never measured is None."""
    errors = np.array(score.error_mm)
    times = np.array(score.time_s)
    by_time = {
        f"{low:.1f} to {low + 0.5:.1f} s": _quantile(errors[(times >= low) & (times < low + 0.5)], 0.5)
        for low in np.arange(1.0, times.max() if len(times) else 1.0, 0.5)
    }
    lost = score.lost_visible + score.lost_hidden
    return {
        "frames_visible": score.visible,
        "answered_when_visible": _share(score.answered, score.visible),
        "claimed_when_hidden": _share(score.claimed_hidden, score.hidden),
        "error_px_median": _quantile(score.error_px, 0.5),
        "error_px_95": _quantile(score.error_px, 0.95),
        "drift_px_median": _quantile(score.drift_px, 0.5),
        "drift_px_95": _quantile(score.drift_px, 0.95),
        "error_mm_median": _quantile(errors, 0.5),
        "error_mm_95": _quantile(errors, 0.95),
        "error_mm_median_over_time": by_time,
        "gross_share": _share(int(np.sum(errors > GROSS_MM)), len(errors)),
        "wrong_object_share": _share(score.wrong, score.claimed),
        "wrong_object_high_95": wilson(score.wrong, score.claimed)[1] if score.claimed else None,
        "coverage": {name: _share(count, score.with_covariance) for name, count in score.inside.items()},
        "lost": lost,
        "lost_wrongly_share": _share(score.lost_visible, lost),
        "lost_reasons": score.reasons,
    }


def summary(results: Results) -> dict[str, Any]:
    """All figures as plain data."""
    return {
        "sequences": results.sequences,
        "points": results.points,
        "frame_ms_median": _quantile(results.frame_ms, 0.5),
        "frame_ms_95": _quantile(results.frame_ms, 0.95),
        "answer_ms_median": _quantile(results.answer_ms, 0.5),
        "answer_ms_95": _quantile(results.answer_ms, 0.95),
        "all": {name: figures(merged(kinds.values())) for name, kinds in results.scores.items()},
        "by_kind": {name: {k: figures(s) for k, s in kinds.items()} for name, kinds in results.scores.items()},
    }


def table(data: dict[str, Any]) -> str:
    """The summary as Markdown: all contestants over everything, then our tracker by kind."""
    rows = [_HEAD, "|---" * 9 + "|", *(_row(name, values) for name, values in data["all"].items())]
    kinds = [_row(kind, values) for kind, values in data["by_kind"]["molmo_point"].items()]
    return "\n".join([*rows, "", "molmo_point by kind of sequence:", "", _HEAD, "|---" * 9 + "|", *kinds])


_HEAD = (
    "| | error mm, median | 95 % | over 20 mm | error px, median | drift px, 95 % | wrong object | "
    "answered when visible | claimed when hidden |"
)


def _row(name: str, values: dict[str, Any]) -> str:
    cells = [
        _number(values["error_mm_median"]),
        _number(values["error_mm_95"]),
        _percent(values["gross_share"]),
        _number(values["error_px_median"]),
        _number(values["drift_px_95"]),
        _percent(values["wrong_object_share"]),
        _percent(values["answered_when_visible"]),
        _percent(values["claimed_when_hidden"]),
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _quantile(values: Any, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
