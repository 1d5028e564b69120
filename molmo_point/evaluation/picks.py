"""Many picks in parallel processes, and what they add up to."""

import math
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.evaluation.intervals import share
from molmo_point.evaluation.pick_trial import VARIANTS, PickTrial, run_trial
from molmo_point.picking.states import PickState
from molmo_point.pointer import Pointer

FIRST_SEED = 930_000
"""Scene seeds of the benchmark; those from 5000, 910000 and 920000 were looked at while the picking was made."""
_pointer: Pointer | None = None


def run_picks(
    model: str, jobs: Sequence[tuple[int, str]], processes: int, pictures: Path | None = None, device: str | None = None
) -> Iterator[PickTrial]:
    """Runs picks, in the order in which they are done.

    Args:
        model: Name or folder of a checkpoint.
        jobs: Seed and variant of each.
        processes: How many at a time; 1 stays in this process.
        pictures: Folder for pictures of failures.
        device: Of the model.
    """
    if processes == 1:
        _start(model, device)
        yield from (_run(job, pictures) for job in jobs)
        return
    # MuJoCo's contexts do not survive a fork, and each process is to use one thread.
    context = multiprocessing.get_context("spawn")
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(model, device)) as pool:
            waiting = [pool.submit(_run, job, pictures) for job in jobs]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = threads


def _start(model: str, device: str | None) -> None:
    global _pointer
    _pointer = Pointer.from_pretrained(model, device=device)


def _run(job: tuple[int, str], pictures: Path | None) -> PickTrial:
    assert _pointer is not None
    return run_trial(_pointer, job[0], job[1], pictures)


def summary(trials: Sequence[PickTrial]) -> dict[str, Any]:
    """Figures of every variant that was run, and every trial that failed with its seed."""
    names = [name for name in VARIANTS if any(trial.variant == name for trial in trials)]
    return {
        "variants": {name: figures([trial for trial in trials if trial.variant == name]) for name in names},
        "failed": [trial.to_dict() for trial in sorted(trials, key=lambda each: each.seed) if not trial.success],
    }


def figures(trials: Sequence[PickTrial]) -> dict[str, Any]:
    """Of one variant: shares with 95 % intervals, failure classes, and medians of times in seconds."""
    right = [trial for trial in trials if trial.pointed_right]
    good = [trial for trial in trials if trial.success]
    unclaimed = Counter(_class_of(trial) for trial in trials if not trial.success)
    return {
        "success": share([trial.success for trial in trials]),
        "success_given_right_point": share([trial.success for trial in right]),
        "pointed_right": share([trial.pointed_right for trial in trials]),
        "wrong_object": share([trial.wrong_object for trial in trials]),
        "claimed_wrongly": share([not trial.success for trial in trials if trial.claimed]),
        "dropped": share([trial.dropped for trial in trials]),
        "pushed_others": share([trial.pushed > 0 for trial in trials]),
        "failures": dict(unclaimed.most_common()),
        "shapes": {s: share([t.success for t in trials if t.shape == s]) for s in sorted({t.shape for t in trials})},
        "attempts_mean": float(np.mean([trial.attempts for trial in trials])),
        "simulated_s": _times([trial.simulated_s for trial in good]),
        "wall_s": _times([trial.wall_s for trial in good]),
        "processor_s_median": _median([trial.processor_s for trial in good]),
        "faster_than_real_time": share([trial.processor_s < trial.simulated_s["total"] for trial in good]),
    }


def _class_of(trial: PickTrial) -> str:
    if trial.wrong_object:
        return "another object lifted"
    return trial.failure or "claimed without truth"


def _times(rows: Sequence[dict[str, float]]) -> dict[str, float | None]:
    states = ["total", *(state.name for state in PickState if any(state.name in row for row in rows))]
    medians: dict[str, float | None] = {name: _median([row.get(name, 0.0) for row in rows]) for name in states}
    medians["total_95"] = float(np.quantile([row["total"] for row in rows], 0.95)) if rows else None
    return medians


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None


def tables(data: dict[str, Any]) -> str:
    """The figures as Markdown: by variant, failure classes, times."""
    lines = [
        "| | picks | success | given a right point | pointed right | another object lifted | dropped | simulated s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in data["variants"].items():
        cells = [_share(row[key]) for key in ("success", "success_given_right_point", "pointed_right", "wrong_object")]
        total = row["simulated_s"]["total"]
        dropped = row["dropped"]
        count = f"{round(dropped['share'] * dropped['trials'])}"
        lines.append(
            f"| {name} | {row['success']['trials']} | {' | '.join(cells)} | {count} | {'' if total is None else f'{total:.1f}'} |"
        )
    for name, row in data["variants"].items():
        failures = ", ".join(f"{reason} {count}" for reason, count in row["failures"].items()) or "none"
        lines += ["", f"{name}: failures: {failures}"]
    first = next(iter(data["variants"].values()), None)
    if first is not None:
        lines += ["", *_time_table(first)]
    return "\n".join(lines)


def _time_table(row: dict[str, Any]) -> list[str]:
    states = [name for name in row["simulated_s"] if name != "total_95"]
    lines = ["| stage | simulated s, median | wall s, median |", "|---|---|---|"]
    for name in states:
        values = (row["simulated_s"][name], row["wall_s"].get(name))
        lines.append(f"| {name} | " + " | ".join("" if value is None else f"{value:.2f}" for value in values) + " |")
    return lines


def _share(value: dict[str, float]) -> str:
    if math.isnan(value["share"]):
        return ""
    return f"{100 * value['share']:.1f} % ({100 * value['low']:.1f} to {100 * value['high']:.1f})"
