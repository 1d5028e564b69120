"""Accuracy of tracked points between two answers of a slow model, compared with simpler methods.

python -m benchmarks.tracking --scenes 64
python -m benchmarks.tracking --scenes 16 --real ../shared/real
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.program import add_output, add_simulator, run_program
from benchmarks.tracking import benchmark
from benchmarks.tracking.real_benchmark import evaluate_real, real_figures, real_table
from benchmarks.tracking.real_views import real_views
from benchmarks.tracking.speed import measure_speed, speed_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    add_output(parser, scenes=64, seed=benchmark.FIRST_SEED, unit="sequences")
    add_simulator(parser)
    parser.add_argument(
        "--real", type=Path, metavar="FOLDER", help="move a camera in front of the real frames of a folder instead"
    )
    parser.add_argument("--speed", action="store_true", help="measure the time per frame by points and image size instead")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the benchmark.

    Returns:
        The figures, and tables of them.
    """
    if options.speed:
        rows = measure_speed()
        return {"benchmark": "tracking speed", "rows": rows}, speed_table(rows)
    if options.real is not None:
        real = real_figures(evaluate_real(real_views(options.real), options.scenes, options.seed))
        return real, real_table(real)
    results = benchmark.evaluate(options.scenes, options.seed, simulator=options.simulator)
    figures = {"benchmark": "tracking", "simulator": options.simulator, **benchmark.summary(results)}
    return figures, benchmark.table(figures)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.tracking", __doc__, add_arguments, measure))
