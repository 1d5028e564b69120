"""`molmo-point eval`: measure a model on scenes with known truth."""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.grasps import __main__ as grasp_benchmark
from benchmarks.lift import __main__ as lift_benchmark
from benchmarks.photographs import __main__ as photo_benchmark
from benchmarks.tracking import __main__ as tracking_benchmark
from lab.evaluation import household as household_benchmark
from molmo_point.cli.evaluate import picks as pick_benchmark
from molmo_point.cli.evaluate import places as place_benchmark
from molmo_point.errors import InputError

DEFAULT_SCENES = 200

_OF_THEIR_OWN = {
    "household": (household_benchmark, household_benchmark.DEFAULT_SCENES),
    "photographs": (photo_benchmark, photo_benchmark.DEFAULT_SCENES),
    "lift": (lift_benchmark, lift_benchmark.DEFAULT_SCENES),
    "tracking": (tracking_benchmark, tracking_benchmark.DEFAULT_SEQUENCES),
    "grasps": (grasp_benchmark, grasp_benchmark.DEFAULT_SCENES),
    "pick": (pick_benchmark, pick_benchmark.DEFAULT_SCENES),
    "place": (place_benchmark, place_benchmark.DEFAULT_SCENES),
}

_BELONGING = {
    "write": "calibration",
    "household": "calibration",
    "photos": "photographs",
    "variants": "pick",
    "processes": "pick",
    "failures": "pick",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `eval`."""
    parser.description = (
        "Measures with 95 % intervals. A model: how often it is right on fresh simulated tables (tabletop: plain shapes; "
        "household) and on real photographs (photographs), whether its probabilities come true (calibration), and how well a "
        "simulated arm picks with it what is named (pick) and puts it into bowls, plates, trays and boxes (place; say "
        "--model household). Without a model: "
        "points that are off, lifted beside the estimators of other projects (lift); points followed in moving scenes "
        "(tracking); proposed grasps tried on the true solids (grasps)."
    )
    choices = ["tabletop", "calibration", *_OF_THEIR_OWN]
    parser.add_argument("benchmark", choices=choices, help="what to measure")
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    scenes = f"number of scenes, or of sequences (tracking); default {DEFAULT_SCENES}, " + ", ".join(
        f"{name} {number}" for name, (_, number) in _OF_THEIR_OWN.items() if number
    )
    parser.add_argument("--scenes", type=int, help=scenes)
    parser.add_argument("--seed", type=int, help="seed of the first test scene (default: the evaluation's own)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--out", type=Path, help="write the JSON to this file as well")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photographs: a folder that holds them")
    group = parser.add_argument_group("calibration", "fitted on as many other scenes as are measured on")
    group.add_argument("--household", action="store_true", help="on household scenes instead of plain shapes")
    group.add_argument("--write", action="store_true", help="store it in the checkpoint's pointing.json")
    group = parser.add_argument_group(
        "pick", "one scene of its own per pick; a failing one comes again with --scenes 1 --seed SEED"
    )
    group.add_argument("--variants", nargs="+", metavar="NAME", help="what to compare (default: full), e.g. full 'median depth'")
    group.add_argument("--processes", type=int, help="how many picks at a time (default: one for each core)")
    group.add_argument("--failures", type=Path, metavar="DIR", help="write a picture of the end of every pick that fails")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="write a PNG: worst and random cases (household), all answers (photographs), reliability diagram (calibration), "
        "gross errors (lift), success of every variant (pick)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the measurement."""
    for option, owner in _BELONGING.items():
        if getattr(options, option) and options.benchmark != owner:
            raise InputError(f"--{option} belongs to eval {owner}", f"eval {options.benchmark}", f"molmo-point eval {owner}")
    of_its_own, default = _OF_THEIR_OWN.get(options.benchmark, (None, DEFAULT_SCENES))
    if options.scenes is None:
        options.scenes = default
    if options.scenes < 1 and of_its_own is not photo_benchmark:
        raise InputError("The number of scenes must be above zero", str(options.scenes), f"e.g. --scenes {DEFAULT_SCENES}")
    if of_its_own is not None:
        of_its_own.check(options)
        with contextlib.redirect_stdout(sys.stderr):
            figures, lines = of_its_own.measure(options)
        return _told(options, {"benchmark": options.benchmark, **figures}, lines)
    return _run_model(options)


def _run_model(options: argparse.Namespace) -> int:
    from molmo_point.cli.evaluate import confidence as evaluate_claims
    from molmo_point.evaluation.tabletop import FIRST_SEED, evaluate, summary, table
    from molmo_point.pointer import Pointer

    first, calibrating = FIRST_SEED if options.seed is None else options.seed, options.benchmark == "calibration"
    if calibrating:
        evaluate_claims.check(options, first)
    elif options.plot:
        raise InputError("There is no plot of this measurement", f"--plot {options.plot}", "leave it out, or use --out")
    with contextlib.redirect_stdout(sys.stderr):
        pointer = Pointer.from_pretrained(options.model, device=options.device)
        if calibrating:
            figures, lines = evaluate_claims.measure(pointer, options, first)
        else:
            figures = summary(evaluate(pointer, options.scenes, first))
            lines = table(figures)
    return _told(options, {"benchmark": options.benchmark, "model": options.model, **figures}, lines)


def _told(options: argparse.Namespace, figures: dict[str, Any], lines: str) -> int:
    text = json.dumps(figures, indent=1)
    if options.out:
        try:
            options.out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(
                "The figures cannot be written", f"{options.out}: {error}", "name a file in a folder that exists"
            ) from error
    print(text if options.json else lines)
    return 0
