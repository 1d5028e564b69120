"""Many picks in parallel processes, and their figures."""

import contextlib
import math
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.evaluation.intervals import markdown, share
from molmo_point.evaluation.pick_trial import DrawTask, MakePicker, PickTrial, default_picker, run_trial, solids_task
from molmo_point.picking.states import PickState
from molmo_point.pointer import Pointer

FIRST_SEED = 930_000
"""First scene of the evaluation; scenes from 5000, 910000 and 920000 were used in development."""
_pointer: Pointer | None = None


def run_picks(
    model: str,
    seeds: Sequence[int],
    processes: int,
    *,
    make_picker: MakePicker = default_picker,
    failures: Path | None = None,
    device: str | None = None,
    simulator: str = "kind",
    draw_task: DrawTask = solids_task,
) -> Iterator[PickTrial]:
    """Run one pick per seed; they come in the order in which they end.

    Args:
        model: Name or folder of a checkpoint.
        seeds: Seeds of the scenes.
        processes: Number of picks at a time; 1 stays in this process.
        make_picker: Makes the picker to measure; other processes import it by its name.
        failures: Folder for pictures of failures; None writes none.
        device: Device of the model; None takes the best available.
        simulator: Depth camera, one of `SIMULATORS`.
        draw_task: Draws the tables; other processes import it by its name.
    """
    if processes == 1:
        _start(model, device)
        yield from (_run(seed, make_picker, failures, simulator, draw_task) for seed in seeds)
        return
    # MuJoCo's contexts do not survive a fork, and each process is to use one thread.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(model, device)) as pool:
            try:
                with _interrupts_blocked():
                    waiting = [pool.submit(_run, seed, make_picker, failures, simulator, draw_task) for seed in seeds]
                yield from (done.result() for done in as_completed(waiting))
            except BaseException:
                # A pick lasts longer than the patience of somebody who interrupts.
                for process in set(multiprocessing.active_children()) - others:
                    process.kill()
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        os.environ |= {} if threads is None else {"OMP_NUM_THREADS": threads}


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let the processes that begin in this context not see Ctrl-C, which a terminal sends to all; their parent ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(model: str, device: str | None) -> None:
    global _pointer
    _pointer = Pointer.from_pretrained(model, device=device)


def _run(seed: int, make_picker: MakePicker, failures: Path | None, simulator: str, draw_task: DrawTask) -> PickTrial:
    assert _pointer is not None
    picture = None if failures is None else failure_picture(failures, seed)
    return run_trial(_pointer, seed, make_picker, picture, simulator, draw_task)


def failure_picture(folder: Path, seed: int) -> Path:
    """Return the path of the picture that a pick that fails writes."""
    return folder / f"pick-{seed}.png"


def summary(trials: Sequence[PickTrial]) -> dict[str, Any]:
    """Summarize picks: shares with 95 % intervals, classes of failures, medians of times in seconds, failed trials."""
    right = [trial for trial in trials if trial.pointed_right]
    good = [trial for trial in trials if trial.success]
    bad = sorted((trial for trial in trials if not trial.success), key=lambda trial: trial.seed)
    return {
        "success": share([trial.success for trial in trials]),
        "success_given_right_point": share([trial.success for trial in right]),
        "pointed_right": share([trial.pointed_right for trial in trials]),
        "wrong_object": share([trial.wrong_object for trial in trials]),
        "claimed_wrongly": share([not trial.success for trial in trials if trial.claimed]),
        "dropped": share([trial.dropped for trial in trials]),
        "pushed_others": share([trial.pushed > 0 for trial in trials]),
        "failures": dict(Counter(trial.problem for trial in bad).most_common()),
        "shapes": {s: share([t.success for t in trials if t.shape == s]) for s in sorted({t.shape for t in trials})},
        "attempts_mean": float(np.mean([trial.attempts for trial in trials])),
        "arm_s": _times([trial.arm_s for trial in good]),
        "wall_s": _times([trial.wall_s for trial in good]),
        "processor_s_median": _median([trial.processor_s for trial in good]),
        "faster_than_real_time": share([trial.processor_s < trial.arm_s["total"] for trial in good]),
        "failed": [trial.to_dict() for trial in bad],
    }


def _times(rows: Sequence[dict[str, float]]) -> dict[str, float | None]:
    states = ["total", *(state.name for state in PickState if any(state.name in row for row in rows))]
    medians: dict[str, float | None] = {name: _median([row.get(name, 0.0) for row in rows]) for name in states}
    medians["total_95"] = float(np.quantile([row["total"] for row in rows], 0.95)) if rows else None
    return medians


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None


COLUMNS = ("picks", "success", "given a right point", "pointed right", "another object lifted", "dropped", "arm s")


def row(figures: dict[str, Any]) -> list[str]:
    """Cells of `COLUMNS` for a summary."""
    cells = [_share(figures[key]) for key in ("success", "success_given_right_point", "pointed_right", "wrong_object")]
    dropped, total = figures["dropped"], figures["arm_s"]["total"]
    count = str(round(dropped["share"] * dropped["trials"]))
    return [str(figures["success"]["trials"]), *cells, count, "" if total is None else f"{total:.1f}"]


def tables(figures: dict[str, Any]) -> str:
    """Format a summary as Markdown: shares, classes of failures, times."""
    failures = ", ".join(f"{reason} {count}" for reason, count in figures["failures"].items()) or "none"
    rows = []
    for name in (name for name in figures["arm_s"] if name != "total_95"):
        values = (figures["arm_s"][name], figures["wall_s"].get(name))
        rows.append([name, *("" if value is None else f"{value:.2f}" for value in values)])
    times = markdown(("stage", "arm s, median", "wall s, median"), rows)
    return "\n".join([markdown(COLUMNS, [row(figures)]), "", f"failures: {failures}", "", times])


def _share(value: dict[str, float]) -> str:
    if math.isnan(value["share"]):
        return ""
    return f"{100 * value['share']:.1f} % ({100 * value['low']:.1f} to {100 * value['high']:.1f})"
