"""`molmo-point eval grasps`: grasps proposed on noisy depth, tried on the true solids."""

import argparse
from typing import Any

from benchmarks.tracking.__main__ import check
from molmo_point.errors import InputError

__all__ = ["DEFAULT_SCENES", "check", "measure"]

DEFAULT_SCENES = 200


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Figures as plain data, and as a table."""
    from tqdm import tqdm

    from benchmarks.grasps.benchmark import FIRST_SEED, run_trials, summarize, table

    first = FIRST_SEED if options.seed is None else options.seed
    trials = run_trials(tqdm(range(first, first + options.scenes), desc="scenes", unit="scene"))
    if not trials:
        raise InputError(
            "No scene shows an object large enough to grasp",
            f"--scenes {options.scenes} --seed {first}",
            "measure on more scenes",
        )
    figures = summarize(trials)
    return figures, table(figures)
