"""Picks by the product and by pickers that each lack one part: ``python -m benchmarks.picking --ablations``."""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.picking.ablations import ABLATIONS, PRODUCT
from benchmarks.picking.plot import plot_picks
from benchmarks.program import add_output, add_simulator, run_program
from molmo_point.cli.evaluate.pick_command import check, told_picks
from molmo_point.errors import InputError
from molmo_point.evaluation.picks import COLUMNS, FIRST_SEED, row, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the program."""
    add_output(parser, scenes=200, seed=FIRST_SEED, plot="success of every variant")
    add_simulator(parser)
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    parser.add_argument("--ablations", action="store_true", help=f"measure all variants: {', '.join(ABLATIONS)}")
    parser.add_argument("--variants", nargs="+", metavar="NAME", default=[PRODUCT], help="measure these, e.g. 'median depth'")
    parser.add_argument("--processes", type=int, help="number of picks at a time (default: one for each core)")
    parser.add_argument("--failures", type=Path, metavar="DIR", help="write a picture of the end of every pick that fails")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the picks of all variants asked for.

    Returns:
        The figures, and a table of them.
    """
    names = list(ABLATIONS) if options.ablations else options.variants
    for name in names:
        if name not in ABLATIONS:
            raise InputError("--variants must be known", repr(name), f"use {', '.join(map(repr, ABLATIONS))}")
    check(options)
    variants = {}
    for name in names:
        print(f"variant: {name}", file=sys.stderr)
        variants[name] = summary(list(told_picks(options, ABLATIONS[name])))
    if options.plot is not None:
        plot_picks(variants, options.plot)
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(row(figures))} |" for name, figures in variants.items()]
    about = {"model": options.model, "simulator": options.simulator, "first_seed": options.seed, "scenes": options.scenes}
    return {**about, "variants": variants}, "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.picking", __doc__, add_arguments, measure))
