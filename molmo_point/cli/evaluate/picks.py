"""`molmo-point eval pick`: an arm picks by language, with the model in the loop, in random scenes with known truth."""

import argparse
import os
import sys
from typing import Any

from molmo_point.cli.progress import counted
from molmo_point.errors import InputError
from molmo_point.plain_json import plain_json

DEFAULT_SCENES = 200


def check(options: argparse.Namespace) -> None:
    """Says before the long measurement what could not be done after it.

    Raises:
        InputError: If a picture cannot be written, or there is no such variant.
    """
    from molmo_point.evaluation.pick_trial import VARIANTS

    if options.plot is not None and not options.plot.resolve().parent.is_dir():
        raise InputError("A picture cannot be written there", str(options.plot), f"make the folder {options.plot.parent} first")
    if options.failures is not None and not options.failures.is_dir():
        raise InputError("Pictures cannot be written there", str(options.failures), f"make the folder {options.failures} first")
    if options.processes is not None and options.processes < 1:
        raise InputError("The number of processes must be above zero", str(options.processes), "e.g. --processes 2")
    unknown = [name for name in options.variants or () if name not in VARIANTS]
    if unknown:
        raise InputError("The pick benchmark has no such variant", unknown[0], f"use {', '.join(map(repr, VARIANTS))}")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Runs the benchmark; the figures and tables of them."""
    from molmo_point.evaluation.picks import FIRST_SEED, run_picks, summary, tables

    first = FIRST_SEED if options.seed is None else options.seed
    variants = options.variants or ["full"]
    jobs = [(seed, name) for seed in range(first, first + options.scenes) for name in variants]
    processes = min(options.processes or os.cpu_count() or 1, len(jobs))
    trials: list[Any] = []
    try:
        for trial in counted(run_picks(options.model, jobs, processes, options.failures, options.device), len(jobs), "pick"):
            trials.append(trial)
            _tell(trial, len(jobs) <= len(variants))
    except KeyboardInterrupt:
        # An hour's work is not lost: the figures say how many picks they are of.
        if not trials:
            raise
        print(f"stopped after {len(trials)} of {len(jobs)} picks", file=sys.stderr)
    figures = {"model": options.model, "first_seed": first, "scenes": options.scenes, **summary(trials)}
    if options.plot is not None:
        from benchmarks.picking.plot import draw_picks
        from molmo_point.viz.overlay import save_png

        save_png(options.plot, draw_picks(figures["variants"]))
    return plain_json(figures), tables(figures)


def _tell(trial: Any, at_length: bool) -> None:
    """What failed, with the seed to see it again; of a single scene, everything that happened."""
    if at_length:
        print(*trial.events, sep="\n", file=sys.stderr)
    if not trial.success:
        said = "another object lifted" if trial.wrong_object else trial.failure or "claimed without truth"
        print(f"seed {trial.seed}, {trial.variant}, {trial.query!r}: {said}: {trial.message}", file=sys.stderr)
