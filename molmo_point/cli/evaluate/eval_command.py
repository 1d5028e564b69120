"""The `molmo-point eval` command: accuracy of a checkpoint on scenes with known truth."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from molmo_point.cli.frame_source import add_camera_model_option
from molmo_point.cli.number_options import amount, seed
from molmo_point.cli.output import add_json, publish
from molmo_point.cli.overwriting import Output, OutputFormat, add_force, check_outputs
from molmo_point.cli.point import add_accept_cautions
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError
from molmo_point.evaluation.trust_words import Half
from molmo_point.text_checks import checked_count

_SCENES = {"tabletop": 200, "calibration": 200, "trust": 40, "pick": 200, "place": 40, "real": 1, "teach": 40}
"""Default number of scenes, by benchmark; "real" takes the frames of a folder."""
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

_OF_DATA = ("images", "unit", "skip_bad", "radius", "absent", "vocabulary")
"""Options that need `--data`."""
_OWNERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("write", "data", *_OF_DATA), ("calibration",)),
    "plot": ("calibration", "trust"),
    **dict.fromkeys(("rows", "half", "details"), ("trust",)),
    **dict.fromkeys(("processes", "failures"), ("pick",)),
    "simulator": ("pick", "teach"),
    **dict.fromkeys(("objects", "views", "true_masks", "sheet", "photographs"), ("teach",)),
    "accept_cautions": ("pick", "place"),
    "without_depth": ("pick",),
    "teach": ("pick",),
    **dict.fromkeys(("folder", "pictures", "draws", "labels", "camera_model"), ("real",)),
}
"""Benchmarks that each special option belongs to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `eval`."""
    parser.description = (
        "Measures a checkpoint with 95 % intervals: how often it is right on fresh simulated tables (tabletop), whether its "
        "probabilities come true (calibration), whether wrong answers bear a caution (trust), how well a simulated arm picks "
        "with it what is named (pick), and how well it puts that into bowls, plates, trays and boxes (place; say --model "
        "household). Measures depth, its stated error and grasps on frames of your own camera (real FOLDER; no checkpoint). "
        "Measures objects that are taught: toys in simulation, or your own by photographs (teach --folder DIR; no checkpoint)."
    )
    parser.add_argument("benchmark", type=_benchmark, metavar="benchmark", help=f"measurement: {', '.join(_SCENES)}")
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="frames with labeled points (real)")
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    help_of_scenes = "number of scenes, or tables (default 200; trust, place and teach 40)"
    parser.add_argument("--scenes", "--tables", type=amount(1_000_000), help=help_of_scenes)
    parser.add_argument("--seed", type=seed, help="seed of the first test scene (default: the evaluation's own)")
    add_json(parser)
    parser.add_argument("--out", type=Path, help="write the JSON to this file as well")
    group = parser.add_argument_group("calibration", "fitted on as many other scenes as are measured on")
    group.add_argument("--household", action=_MovedOption, const="calibration --household", nargs=0, help=argparse.SUPPRESS)
    group.add_argument("--write", action="store_true", help="store it in the checkpoint's pointing.json")
    group = parser.add_argument_group("calibration on your own pictures", "fitted on one half of them, measured on the other")
    _add_data(group)
    group = parser.add_argument_group("trust", "half of the questions are about what is not there")
    group.add_argument("--half", choices=[half.value for half in Half], help="half of the words, faults and tables")
    group.add_argument("--details", action="store_true", help="print a row for every fault, table and wording")
    group.add_argument("--rows", type=Path, metavar="FILE", help="write every answer as a line of JSON")
    group = parser.add_argument_group("pick", "one scene per pick; repeat a failure with --scenes 1 --seed SEED")
    group.add_argument("--variants", action=_MovedOption, const="pick --variants", nargs="*", help=argparse.SUPPRESS)
    group.add_argument("--processes", type=int, help="number of picks at a time (default: one for each core)")
    group.add_argument("--without-depth", action="store_true", help="use no depth: the wrist camera looks from several places")
    told = "teach a toy that no model was trained on with N views, then ask for it among others and look-alikes"
    group.add_argument("--teach", type=amount(100), metavar="N", help=told)
    group.add_argument("--failures", type=Path, metavar="DIR", help="write a picture of the end of every pick that fails")
    group.add_argument("--simulator", metavar="CAMERA", help="depth camera: kind (default), unkind or time-of-flight")
    add_accept_cautions(parser.add_argument_group("pick and place"))
    _add_teach(parser.add_argument_group("teach", "toys that no model was trained on, or your own objects"))
    _add_real(parser.add_argument_group("real", "depth, stated error and grasps on labeled frames"))
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a PNG: reliability diagram (calibration, trust)")
    add_force(parser)
    parser.set_defaults(run=run)


def _add_data(group: Any) -> None:
    """Add the options of a user's labeled pictures."""
    group.add_argument("--data", type=Path, metavar="LABELS", help="rows of labels, as molmo-point train reads them")
    group.add_argument("--images", type=Path, metavar="DIR", help="folder of images named by hash (default: next to the rows)")
    group.add_argument("--unit", choices=("percent", "pixels"), help="unit of points and boxes (default: that of the format)")
    group.add_argument("--skip-bad", action="store_true", help="leave out bad rows and count them")
    help_of_radius = "distance from a labeled point up to which a point is right, percent of the diagonal (default 5)"
    group.add_argument("--radius", type=float, metavar="PERCENT", help=help_of_radius)
    help_of_absent = (
        "names of absent objects: others (default) takes labels of other pictures too, which needs complete labels; "
        "rows takes rows without points alone"
    )
    group.add_argument("--absent", choices=("others", "rows"), help=help_of_absent)
    group.add_argument("--vocabulary", action="store_true", help="store the labels as the only words that the model knows")


def _add_real(group: Any) -> None:
    """Add the options of labeled frames."""
    group.add_argument("--pictures", type=Path, metavar="DIR", help="write two contact sheets per frame: points and grasps")
    group.add_argument("--draws", type=amount(10_000), help="number of drawn pixel errors per point (default 40)")
    add_camera_model_option(group)
    group.add_argument("--labels", type=Path, metavar="FILE", help="further labels by frame and point")


def _add_teach(group: Any) -> None:
    """Add the options of taught objects."""
    group.add_argument("--objects", type=amount(200), metavar="N", help="number of toys to teach (default 20)")
    group.add_argument("--views", type=amount(100), metavar="N", help="views of each (default 5)")
    group.add_argument("--true-masks", action="store_true", help="teach with true masks instead of those that are found")
    group.add_argument("--sheet", type=Path, metavar="FILE", help="write a PNG: answers drawn into pictures")
    help_of_folder = "photographs of your own objects instead, a folder for each: each is left out once and asked about"
    group.add_argument("--folder", dest="photographs", type=Path, metavar="DIR", help=help_of_folder)


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
    if name not in _SCENES:
        raise argparse.ArgumentTypeError(f"{name!r} must be one of {', '.join(_SCENES)}")
    return name


def run(options: argparse.Namespace) -> int:
    """Run the measurement."""
    from molmo_point.cli.evaluate import (
        confidence,
        own_pictures,
        pick_command,
        place_command,
        real_command,
        teaching_command,
        trust_command,
    )
    from molmo_point.evaluation import picks, place_trial, tabletop, trust_questions
    from molmo_point.evaluation.teach import toy_scenes

    name = options.benchmark
    for option, owners in _OWNERS.items():
        if getattr(options, option) and name not in owners:
            belongs, fix = f"--{option.replace('_', '-')} belongs to eval {' and '.join(owners)}", f"molmo-point eval {owners[0]}"
            raise InputError(belongs, f"eval {name}", fix)
    lone = [option for option in _OF_DATA if getattr(options, option)]
    if options.data is None and lone:
        given = f"--{lone[0].replace('_', '-')} without --data"
        raise InputError("Options of own pictures must be given with --data", given, "add --data LABELS")
    first_seed, check, measure = {
        "tabletop": (tabletop.FIRST_SEED, None, _measure_tabletop),
        "calibration": (tabletop.FIRST_SEED, confidence.check, confidence.measure),
        "trust": (trust_questions.FIRST_SEED, None, trust_command.measure),
        "pick": (picks.FIRST_SEED, pick_command.check, pick_command.measure),
        "place": (place_trial.FIRST_SEED, None, place_command.measure),
        "real": (0, real_command.check, real_command.measure),
        "teach": (toy_scenes.FIRST_SEED, teaching_command.check, teaching_command.measure),
    }[name]
    if options.data is not None:
        check, measure = own_pictures.check, own_pictures.measure
    else:
        options.scenes = checked_count("--scenes", _SCENES[name] if options.scenes is None else options.scenes, _SCENES[name])
    options.seed = first_seed if options.seed is None else options.seed
    if check is not None:
        check(options)
    pictures = (Output("--failures", path, OutputFormat.PNG) for path in pick_command.failure_pictures(options))
    pictures = [*pictures, *(Output("--pictures", path, OutputFormat.PNG) for path in real_command.pictures(options))]
    pictures.append(Output("--sheet", options.sheet, OutputFormat.PNG))
    plot, rows = Output("--plot", options.plot, OutputFormat.PNG), Output("--rows", options.rows, OutputFormat.JSON)
    check_outputs(options, Output("--out", options.out, OutputFormat.JSON), plot, rows, *pictures)
    with contextlib.redirect_stdout(sys.stderr):
        figures, lines = measure(options)
    publish(options, {"benchmark": name, **figures}, lines)
    return 0


def _measure_tabletop(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from molmo_point.evaluation.tabletop import evaluate, summary, table
    from molmo_point.pointer import Pointer

    pointer = Pointer.from_pretrained(options.model, device=options.device)
    seeds = range(options.seed, options.seed + options.scenes)
    figures = summary(evaluate(pointer, counted(seeds, options.scenes, "scene")))
    return {"model": options.model, **figures}, table(figures)
