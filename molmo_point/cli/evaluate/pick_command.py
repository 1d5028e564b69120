"""The `molmo-point eval pick` command: picks by language with a simulated arm, in random scenes with known truth."""

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from molmo_point.cli.progress import counted
from molmo_point.cli.signal_end import must_unwind
from molmo_point.errors import InputError
from molmo_point.evaluation.pick_trial import DrawTask, MakePicker, PickTrial, default_picker, solids_task
from molmo_point.evaluation.picks import failure_picture, run_picks, summary, tables
from molmo_point.evaluation.taught_picks import taught_task
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.sim.unkind_faults import simulator_faults
from molmo_point.text_checks import checked_count


def check(options: argparse.Namespace) -> None:
    """Refuse before the measurement what cannot be done after it."""
    if options.failures is not None and not options.failures.is_dir():
        raise InputError("--failures must be a folder", str(options.failures), f"make the folder {options.failures} first")
    if options.processes is not None:
        checked_count("--processes", options.processes, 2)
    if options.simulator is not None:
        simulator_faults(options.simulator)


def failure_pictures(options: argparse.Namespace) -> list[Path]:
    """Return the paths of the pictures that the measurement may write."""
    if options.failures is None:
        return []
    return [failure_picture(options.failures, seed) for seed in range(options.seed, options.seed + options.scenes)]


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the picks; return the figures and their tables."""
    settings = PickSettings(accept_cautions=options.accept_cautions, without_depth=options.without_depth)
    draw_task = solids_task if options.teach is None else functools.partial(taught_task, views=options.teach)
    figures = summary(list(told_picks(options, functools.partial(default_picker, settings=settings), draw_task)))
    accepted = sorted(settings.accept_cautions)
    return {
        "model": options.model,
        "accept_cautions": accepted,
        "simulator": options.simulator or "kind",
        "without_depth": options.without_depth,
        "taught_views": options.teach,
        "first_seed": options.seed,
        "scenes": options.scenes,
        **figures,
    }, tables(figures)


def told_picks(options: argparse.Namespace, make_picker: MakePicker, draw_task: DrawTask = solids_task) -> Iterator[PickTrial]:
    """Run picks with progress, and print every failure with its seed; Ctrl-C ends them, and keeps those that are done.

    Args:
        options: With `model`, `seed`, `scenes`, `processes`, `failures`, `device` and `simulator`.
        make_picker: Makes the picker to measure.
        draw_task: Draws the tables.
    """
    seeds = range(options.seed, options.seed + options.scenes)
    processes = min(options.processes or os.cpu_count() or 1, len(seeds))
    picks = run_picks(
        options.model,
        seeds,
        processes,
        make_picker=make_picker,
        failures=options.failures,
        device=options.device,
        simulator=options.simulator or "kind",
        draw_task=draw_task,
    )
    done = 0
    try:
        with must_unwind() if processes > 1 else contextlib.nullcontext():
            for trial in counted(picks, len(seeds), "pick"):
                done += 1
                if len(seeds) == 1:
                    print(*trial.events, sep="\n", file=sys.stderr)
                if not trial.success:
                    print(f"seed {trial.seed}, {trial.query!r}: {trial.problem}: {trial.message}", file=sys.stderr)
                yield trial
    except KeyboardInterrupt:
        # An hour's work is not lost: the figures say how many picks they are of.
        if not done:
            raise
        print(f"stopped after {done} of {len(seeds)} picks", file=sys.stderr)
