"""The `molmo-point eval` command: accuracy of a checkpoint on scenes with known truth."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from molmo_point.cli.evaluate import confidence, pick_command, place_command
from molmo_point.cli.figures_output import check_folder, publish
from molmo_point.errors import InputError

DEFAULT_SCENES = 200

_OWN_PROGRAMS = {"pick": pick_command, "place": place_command}
_BENCHMARKS = ("tabletop", "calibration", *_OWN_PROGRAMS)
_MOVED = {
    "lift": "benchmarks.lift",
    "tracking": "benchmarks.tracking",
    "grasps": "benchmarks.grasps",
    "photographs": "benchmarks.photographs",
    "household": "lab.evaluation.household",
    "calibration --household": "lab.evaluation.household_confidence",
    "pick --variants": "benchmarks.picking",
}
"""Measurements of this project that are programs of its repository, by their former names."""

_OWNERS = {"write": "calibration", "processes": "pick", "failures": "pick"}
"""Benchmark that each special option belongs to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `eval`."""
    parser.description = (
        "Measures a checkpoint with 95 % intervals: how often it is right on fresh simulated tables (tabletop), whether its "
        "probabilities come true (calibration), how well a simulated arm picks with it what is named (pick), and how well it "
        "puts that into bowls, plates, trays and boxes (place; say --model household)."
    )
    words = ", ".join(_BENCHMARKS)
    parser.add_argument("benchmark", type=_benchmark, metavar="benchmark", help=f"measurement: {words}")
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    numbers = ", ".join(f"{name} {program.DEFAULT_SCENES}" for name, program in _OWN_PROGRAMS.items())
    parser.add_argument("--scenes", type=int, help=f"number of scenes (default {DEFAULT_SCENES}, {numbers})")
    parser.add_argument("--seed", type=int, help="seed of the first test scene (default: the evaluation's own)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--out", type=Path, help="write the JSON to this file as well")
    group = parser.add_argument_group("calibration", "fitted on as many other scenes as are measured on")
    group.add_argument("--household", action=_MovedOption, const="calibration --household", nargs=0, help=argparse.SUPPRESS)
    group.add_argument("--write", action="store_true", help="store it in the checkpoint's pointing.json")
    group = parser.add_argument_group("pick", "one scene per pick; repeat a failure with --scenes 1 --seed SEED")
    group.add_argument("--variants", action=_MovedOption, const="pick --variants", nargs="*", help=argparse.SUPPRESS)
    group.add_argument("--processes", type=int, help="number of picks at a time (default: one for each core)")
    group.add_argument("--failures", type=Path, metavar="DIR", help="write a picture of the end of every pick that fails")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a PNG: reliability diagram (calibration)")
    parser.set_defaults(run=run)


class _MovedOption(argparse.Action):
    """Ends with an error that names the new program."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """See `argparse.Action`."""
        parser.error(_moved(str(self.const)))


def _moved(name: str) -> str:
    return f"eval {name} has moved; in a checkout of the repository run: python -m {_MOVED[name]}"


def _benchmark(name: str) -> str:
    if name in _MOVED:
        raise argparse.ArgumentTypeError(_moved(name))
    if name not in _BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{name!r} must be one of {', '.join(_BENCHMARKS)}")
    return name


def run(options: argparse.Namespace) -> int:
    """Run the measurement."""
    for option, owner in _OWNERS.items():
        if getattr(options, option) and options.benchmark != owner:
            raise InputError(f"--{option} belongs to eval {owner}", f"eval {options.benchmark}", f"molmo-point eval {owner}")
    program = _OWN_PROGRAMS.get(options.benchmark)
    if options.scenes is None:
        options.scenes = DEFAULT_SCENES if program is None else program.DEFAULT_SCENES
    if options.scenes < 1:
        raise InputError("--scenes must be above zero", str(options.scenes), f"e.g. --scenes {DEFAULT_SCENES}")
    check_folder("--out", options.out)
    if program is None:
        figures, lines = _measure_model(options)
    else:
        program.check(options)
        with contextlib.redirect_stdout(sys.stderr):
            figures, lines = program.measure(options)
    publish(options, {"benchmark": options.benchmark, **figures}, lines)
    return 0


def _measure_model(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from molmo_point.cli.progress import counted
    from molmo_point.evaluation.tabletop import FIRST_SEED, evaluate, summary, table
    from molmo_point.pointer import Pointer

    first, calibrating = FIRST_SEED if options.seed is None else options.seed, options.benchmark == "calibration"
    if calibrating:
        confidence.check(options, first)
    elif options.plot:
        raise InputError("eval tabletop draws no picture", f"--plot {options.plot}", "leave it out, or use --out")
    with contextlib.redirect_stdout(sys.stderr):
        pointer = Pointer.from_pretrained(options.model, device=options.device)
        if calibrating:
            figures, lines = confidence.measure(pointer, options, first)
        else:
            seeds = range(first, first + options.scenes)
            figures = summary(evaluate(pointer, counted(seeds, options.scenes, "scene")))
            lines = table(figures)
    return {"model": options.model, **figures}, lines
