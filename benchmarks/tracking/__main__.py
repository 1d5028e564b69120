"""`molmo-point eval tracking`: points that have to keep up with a moving world."""

import argparse
from typing import Any

from molmo_point.errors import InputError

DEFAULT_SEQUENCES = 64


def check(options: argparse.Namespace) -> None:
    """Refuses options of the other measurements.

    Raises:
        InputError: `--plot` was given, which draws nothing here.
    """
    if options.plot:
        raise InputError("There is no plot of this measurement", f"--plot {options.plot}", "leave it out, or use --out")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Figures as plain data, and as a table."""
    from benchmarks.tracking.benchmark import FIRST_SEED, evaluate, summary, table

    first = FIRST_SEED if options.seed is None else options.seed
    figures = summary(evaluate(options.scenes, first))
    return figures, table(figures)
