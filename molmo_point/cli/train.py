"""`molmo-point train`: a small Molmo from nothing, or any further; settings from a file, from options, or both."""

import argparse
import csv
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError

_PATHS = ("scenes", "out")


_TUNING = ("base", "data", "stages")
"""Names that only a configuration of the second kind has."""
_DESCRIPTION = """\
Trains in one of two ways; the configuration file says which.

1. A small Molmo from nothing on rendered scenes (--scenes, or `scenes:` in the file). Scenes come from
   `python -m lab.household.scene_set --out DIR`.
2. A Molmo further on labels of photographs, rendered scenes, or both (`base:`, `data:`, `stages:` in the file): rows as
   PixMo has them or your own, in full or with LoRA, over an NF4 base if you like.

Both keep in the run's folder: the checkpoint (or adapter), the state to go on from, log.csv, curves.png. The same command
goes on with an unfinished run. Options win over the file. docs/training.md has every setting and a complete example."""
_EXAMPLE = """\
an example of the second kind:
  base: tabletop                 # or allenai/Molmo-7B-D-0924, or a folder
  out: runs/mine
  data: [{path: labels.jsonl}]   # {"image": "photo.jpg", "label": "mugs", "points": [{"x": 41.0, "y": 63.5}]} in a line
  stages: [{stage: point, images: 2000}]
  lora: {}                       # leave out to train all weights; quantization: nf4 beside it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `train`; every field of `TrainSettings` is an option, too."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML or JSON; of the first kind with any option, names with _"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run")
    group = parser.add_argument_group("training further (base, data and stages in the file)")
    group.add_argument(
        "--skip-bad", action="store_true", help="leave out bad rows and count them, instead of ending at the first"
    )
    group = parser.add_argument_group("from nothing, on rendered scenes")
    group.add_argument("--scenes", type=Path, metavar="DIR", help="folder of rendered shards")
    group.add_argument("--replan", action="store_true", help="go on although the plan (images, rates, workers) differs")
    for name, (kind, words) in _SETTINGS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=words)
    parser.set_defaults(run=run)


_SETTINGS: dict[str, tuple[type, str]] = {
    "see_images": (int, "images on which the image encoder alone learns to see (16800)"),
    "caption_images": (int, "images that the whole model then describes (0)"),
    "point_images": (int, "images about which it is asked to point, count and deny (60000)"),
    "batch": (int, "images a step, over all workers (12)"),
    "questions": (int, "questions an image (5)"),
    "see_rate": (float, "peak learning rate of seeing (1e-3)"),
    "point_rate": (float, "peak learning rate of describing and pointing (5e-4)"),
    "auxiliary_share": (float, "share of the pointing with auxiliary losses (1)"),
    "short_share": (float, "share of the questions that want a word or a number (0)"),
    "few_until": (float, "share of the pointing until which ever more things are let in (0: all at once)"),
    "seed": (int, "of weights, views and questions (0)"),
    "workers": (int, "processes that share a step (2)"),
    "check_every": (int, "images between two checkpoints with validation (2400)"),
    "size": (str, "small or medium (small)"),
    "start": (str, "folder of a smaller checkpoint to grow from"),
    "also": (str, "folder of plain scenes to mix into household scenes"),
    "also_share": (float, "of the pictures, how many are plain then (0.25)"),
}
"""The fields of `TrainSettings`, said again here because --help must not cost an import of torch."""


def run(options: argparse.Namespace) -> int:
    """Runs the training to its end."""
    values = _read(options.config) if options.config else {}
    if any(name in values for name in _TUNING):
        return _run_tuning(options, values)
    if options.skip_bad:
        raise InputError("--skip-bad is for rows of labels", "a run on rendered scenes alone", "leave it out")
    chosen = _checked(options.config, values)
    chosen |= {name: value for name in (*_PATHS, *_SETTINGS) if (value := getattr(options, name)) is not None}
    missing = [f"--{name}" for name in _PATHS if name not in chosen]
    if missing:
        raise InputError("Training needs scenes and a folder for the run", f"no {' and no '.join(missing)}", "give both")
    scenes, out = (Path(chosen.pop(name)) for name in _PATHS)

    from lab.training.settings import TrainSettings
    from lab.training.trainer import train

    assert {field.name for field in fields(TrainSettings)} == set(_SETTINGS)
    train(TrainSettings(**chosen), scenes, out, options.replan, draw_curves)
    print(f"trained: {out / 'checkpoint'}")
    return 0


def _run_tuning(options: argparse.Namespace, values: dict[str, Any]) -> int:
    given = [f"--{name.replace('_', '-')}" for name in (*_SETTINGS, "scenes", "replan") if getattr(options, name)]
    if given:
        fix = "write what you want into the file; docs/training.md has all names"
        raise InputError("These options are for training from nothing", ", ".join(given), fix)
    values |= {"out": str(options.out)} if options.out else {}
    values |= {"skip_bad": True} if options.skip_bad else {}

    from molmo_point.finetuning.configuration import tune_settings
    from molmo_point.finetuning.tuner import tune

    folder = tune(tune_settings(values, str(options.config)), lambda line: print(line, file=sys.stderr), draw_curves)
    print(f"trained: {folder}")
    return 0


def draw_curves(out: Path) -> None:
    """Draws ``curves.png`` of a run's ``log.csv``."""
    from molmo_point.viz.training_chart import training_chart

    with (out / "log.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if _is_number(value)} for row in csv.DictReader(file)]
    part = out / "curves.part.png"
    training_chart(rows).save(part)
    part.replace(out / "curves.png")


def _is_number(value: str) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    """Names and values of a configuration file."""
    fix = "a file of `name: value`; see molmo-point train --help"
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            values = json.loads(text)
        else:
            import yaml

            values = yaml.safe_load(text)
    except (OSError, ValueError) as error:
        raise InputError("The configuration cannot be read", f"{path}: {error}", fix) from error
    except Exception as error:  # yaml's own errors, without importing yaml up here
        raise InputError("The configuration is no YAML", f"{path}: {error}", fix) from error
    if not isinstance(values, dict):
        raise InputError("The configuration must be names with values", f"{path}: {type(values).__name__}", fix)
    return values


def _checked(path: Path | None, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a file of the first kind."""
    unknown = sorted(str(name) for name in set(values) - {*_PATHS, *_SETTINGS})
    if unknown:
        fix = f"names are {', '.join((*_PATHS, *_SETTINGS))}; or {', '.join(_TUNING)} to train a model further"
        raise InputError("The configuration has unknown names", f"{path}: {', '.join(unknown)}", fix)
    return {name: _as_kind(path, name, value) for name, value in values.items()}


def _as_kind(path: Path | None, name: str, value: Any) -> Any:
    kind = _SETTINGS[name][0] if name in _SETTINGS else str
    # YAML reads 1e-3 as text, and whole numbers where a float is meant.
    try:
        if value is None or (kind is not str and isinstance(value, (bool, list, dict))):
            raise ValueError
        if kind is int and float(value) != int(float(value)):
            raise ValueError
        return int(float(value)) if kind is int else kind(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            "A value of the configuration is of the wrong kind", f"{path}: {name} = {value!r}", f"a {kind.__name__}"
        ) from error
