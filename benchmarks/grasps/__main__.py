"""Grasps proposed on noisy depth, tried on the true solids of simulated tables.

python -m benchmarks.grasps --scenes 200
"""

import argparse
import sys
from typing import Any

from benchmarks.grasps.benchmark import FIRST_SEED, TABLES, run_trials, summarize, table
from benchmarks.program import add_output, add_simulator, run_program
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    add_output(parser, scenes=200, seed=FIRST_SEED)
    add_simulator(parser)
    parser.add_argument("--tables", choices=TABLES, default="plain", help="kind of the tables; mixed takes turns (default plain)")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the benchmark.

    Returns:
        The figures, and a table of them.

    Raises:
        InputError: No scene shows an object that is large enough.
    """
    seeds = counted(range(options.seed, options.seed + options.scenes), options.scenes, "scene")
    trials = run_trials(seeds, simulator=options.simulator, tables=options.tables)
    if not trials:
        given = f"--scenes {options.scenes} --seed {options.seed}"
        raise InputError("Scenes must show an object large enough to grasp", given, "measure on more scenes")
    figures = {"benchmark": "grasps", "simulator": options.simulator, "tables": options.tables, **summarize(trials)}
    return figures, table(figures)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.grasps", __doc__, add_arguments, measure))
