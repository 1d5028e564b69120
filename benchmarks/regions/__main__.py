"""Object regions on real frames, judged by outlines that were drawn by hand.

python -m benchmarks.regions ../shared/real/rgbd
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.program import add_output, run_program
from benchmarks.regions.benchmark import TWINS, RegionTrial, run_trials
from molmo_point.errors import InputError
from molmo_point.evaluation.intervals import share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    parser.add_argument("folder", type=Path, help="folder of the frames, each with color.jpg, depth.png and points.json")
    add_output(parser)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the benchmark; return the figures, and a table of them.

    Raises:
        InputError: If the folder does not exist.
    """
    if not options.folder.is_dir():
        raise InputError("folder must hold the frames", str(options.folder), "name the folder rgbd of the real data")
    trials = run_trials(options.folder)
    figures: dict[str, Any] = {"benchmark": "regions"}
    for name, chosen in (("frames", [each for each in trials if each.frame not in TWINS]), ("all", trials)):
        figures[name] = {
            "right": share([each.verdict == "right" for each in chosen]),
            "right_and_ok": sum(each.verdict == "right" and not each.flags for each in chosen),
            "wrong_but_ok": sum(each.verdict != "right" and not each.flags for each in chosen),
            "ms_median": float(np.median([1e3 * each.seconds for each in chosen])),
        }
    head = ["| frame | point | region | cover | leak | flags | ms |", "|---|---|---|---|---|---|---|"]
    return figures, "\n".join([*head, *map(_row, trials)])


def _row(trial: RegionTrial) -> str:
    flags = " ".join(flag.value for flag in trial.flags)
    figures = f"{trial.cover:.2f} | {trial.leak:.2f} | {flags} | {1e3 * trial.seconds:.0f}"
    return f"| {trial.frame} | {trial.name} | {trial.verdict} | {figures} |"


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.regions", __doc__, add_arguments, measure))
