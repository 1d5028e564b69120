"""Points with known errors, lifted to 3D in scenes with known truth, compared with other estimators.

python -m benchmarks.lift --scenes 2000 --plot gross.png
"""

import argparse
import sys
from typing import Any

from benchmarks.lift.benchmark import FIRST_SEED, run_benchmark
from benchmarks.lift.report import summary, tables
from benchmarks.program import add_output, add_simulator, run_program
from molmo_point.cli.progress import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    add_output(parser, scenes=2000, seed=FIRST_SEED, plot="gross errors of every estimator")
    add_simulator(parser)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the benchmark.

    Returns:
        The figures, and tables of them.
    """
    run = run_benchmark(
        options.scenes,
        options.seed,
        simulator=options.simulator,
        progress=lambda numbers: counted(numbers, options.scenes, "scene"),
    )
    figures = {"benchmark": "lift", "simulator": options.simulator, **summary(run)}
    if options.plot is not None:
        from benchmarks.lift.plot import draw_gross_errors

        draw_gross_errors(options.plot, figures)
    return figures, tables(figures)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.lift", __doc__, add_arguments, measure))
