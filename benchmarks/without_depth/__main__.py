"""Targets without a depth camera: a known plane, and two or three views, against the depth path on simulated tables.

python -m benchmarks.without_depth --scenes 200
"""

import argparse
import sys
from typing import Any

from benchmarks.program import add_output, run_program
from benchmarks.without_depth.benchmark import FIRST_SEED, SIGMA_PX, attempts_on, summarize, table
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    add_output(parser, scenes=200, seed=FIRST_SEED)
    parser.add_argument("--sigma-px", type=float, default=SIGMA_PX, help=f"pixel error of every point (default {SIGMA_PX:g})")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the benchmark.

    Returns:
        The figures, and a table of them.

    Raises:
        InputError: No scene shows an object in all views.
    """
    seeds = counted(range(options.seed, options.seed + options.scenes), options.scenes, "scene")
    attempts = list(attempts_on(seeds, options.sigma_px))
    if not attempts:
        raise InputError("Scenes must show an object in all views", f"--scenes {options.scenes}", "measure on more scenes")
    figures = {"benchmark": "without_depth", **summarize(attempts)}
    return figures, table(figures)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.without_depth", __doc__, add_arguments, measure))
