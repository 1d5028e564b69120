"""Holes, residuals, correlation and flicker of real and simulated depth images, measured by the same code.

python -m benchmarks.sensors --real ../shared/real/rgbd --scenes 27
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.program import add_output, run_program
from benchmarks.sensors.frame_statistics import figures
from benchmarks.sensors.frames import real_frames, simulated_frames
from benchmarks.sensors.report import overview, table
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError
from molmo_point.sim.unkind_faults import SIMULATORS

SIZES = ((640, 480), (1280, 720))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    add_output(parser, scenes=27, seed=1000)
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real frames, laid out as for `molmo-point eval real`")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the measurement.

    Returns:
        The figures, and a table of them.
    """
    if options.real is not None and not options.real.is_dir():
        raise InputError("--real must be a folder", str(options.real), "name a folder of real frames, or leave it out")
    found: dict[str, Any] = {"benchmark": "sensors", "first_seed": options.seed, "scenes": options.scenes}
    found["real"] = {} if options.real is None else {name: figures(each) for name, each in real_frames(options.real)}
    for width, height in SIZES:
        for name, faults in SIMULATORS.items():
            seeds = range(options.seed, options.seed + options.scenes)
            frames = counted(simulated_frames(faults, seeds, (width, height)), options.scenes, "scene")
            found.setdefault("simulated", {})[f"{name}, {width}×{height}"] = overview([figures(each) for each in frames])
    return found, table(found)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.sensors", __doc__, add_arguments, measure))
