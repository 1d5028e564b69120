"""Accuracy of tracked points between two answers of a slow model, compared with simpler methods.

python -m benchmarks.tracking --scenes 64
"""

import argparse
import sys
from typing import Any

from benchmarks.program import add_output, add_simulator, run_program
from benchmarks.tracking import benchmark
from benchmarks.tracking.speed import measure_speed, speed_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    add_output(parser, scenes=64, seed=benchmark.FIRST_SEED, unit="sequences")
    add_simulator(parser)
    parser.add_argument("--speed", action="store_true", help="measure the time per frame by points and image size instead")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the benchmark.

    Returns:
        The figures, and tables of them.
    """
    if options.speed:
        rows = measure_speed()
        return {"benchmark": "tracking speed", "rows": rows}, speed_table(rows)
    results = benchmark.evaluate(options.scenes, options.seed, simulator=options.simulator)
    figures = {"benchmark": "tracking", "simulator": options.simulator, **benchmark.summary(results)}
    return figures, benchmark.table(figures)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.tracking", __doc__, add_arguments, measure))
