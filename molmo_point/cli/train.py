"""`molmo-point train`: train a small Molmo on rendered scenes; settings from a file, from options, or both."""

import argparse
import csv
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError

_PATHS = ("scenes", "out")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `train`; every field of `TrainSettings` is an option, too."""
    parser.description = (
        "Trains on a folder of rendered scenes (python -m molmo_point.training.scene_set) and keeps in the run's folder: "
        "checkpoint/, the state to go on from, log.csv and curves.png. The same command goes on with an unfinished run. "
        "Options win over the file."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML or JSON with any of these options, names with _")
    parser.add_argument("--scenes", type=Path, metavar="DIR", help="folder of rendered shards")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run")
    parser.add_argument("--replan", action="store_true", help="go on although the plan (images, rates, workers) differs")
    group = parser.add_argument_group("settings", "see TrainSettings for what they mean and their defaults")
    for name, kind in _SETTINGS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper())
    parser.set_defaults(run=run)


_SETTINGS: dict[str, type] = {
    "see_images": int, "point_images": int, "batch": int, "questions": int, "see_rate": float, "point_rate": float,
    "auxiliary_share": float, "seed": int, "workers": int, "check_every": int, "size": str, "start": str,
    "caption_images": int, "short_share": float, "few_until": float,
}  # fmt: skip
"""The fields of `TrainSettings`, said again here because --help must not cost an import of torch."""


def run(options: argparse.Namespace) -> int:
    """Runs the training to its end."""
    chosen = _from_file(options.config) if options.config else {}
    chosen |= {name: value for name in (*_PATHS, *_SETTINGS) if (value := getattr(options, name)) is not None}
    missing = [f"--{name}" for name in _PATHS if name not in chosen]
    if missing:
        raise InputError("Training needs scenes and a folder for the run", f"no {' and no '.join(missing)}", "give both")
    scenes, out = (Path(chosen.pop(name)) for name in _PATHS)

    from molmo_point.training.settings import TrainSettings
    from molmo_point.training.trainer import train

    assert {field.name for field in fields(TrainSettings)} == set(_SETTINGS)
    train(TrainSettings(**chosen), scenes, out, options.replan, draw_curves)
    print(f"trained: {out / 'checkpoint'}")
    return 0


def draw_curves(out: Path) -> None:
    """Draws ``curves.png`` of a run's ``log.csv``."""
    from molmo_point.viz.training_chart import training_chart

    with (out / "log.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    part = out / "curves.part.png"
    training_chart(rows).save(part)
    part.replace(out / "curves.png")


def _from_file(path: Path) -> dict[str, Any]:
    fix = f"a file of `name: value`, names among {', '.join((*_PATHS, *_SETTINGS))}"
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
    unknown = sorted(set(values) - {*_PATHS, *_SETTINGS})
    if unknown:
        raise InputError("The configuration has unknown names", f"{path}: {', '.join(map(str, unknown))}", fix)
    return {name: _as_kind(path, name, value) for name, value in values.items()}


def _as_kind(path: Path, name: str, value: Any) -> Any:
    kind = _SETTINGS.get(name, str)
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
