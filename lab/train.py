"""`python -m lab.train`: a small Molmo from nothing on rendered scenes, or any further on scenes and labels."""

import argparse
import sys
from pathlib import Path
from typing import Any

from lab.training.pretraining import pretrain
from lab.training.scene_source import SceneTuneSettings
from lab.training.settings import PretrainSettings
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.finetuning.run_file import parse_settings, read_run_file
from molmo_point.finetuning.tuning import tune
from molmo_point.viz.training_chart import draw_curves

_TUNING = ("base", "data", "stages")
"""Names that only a run file of the second kind has."""
_DESCRIPTION = """\
Trains in one of two ways; the run file says which.

1. A small Molmo from nothing on rendered scenes (--scenes, or `scenes:` in the file). Scenes come from
   `python -m lab.household.scene_set --out DIR` or `python -m lab.training.scenes --out DIR`.
2. A Molmo further on rendered scenes and labels (`base:`, `data: [{scenes: DIR}]`, `stages:` in the file): a run file of
   `molmo-point train` that may also name scenes.

The same command resumes an unfinished run. Options win over the file."""


def parser() -> argparse.ArgumentParser:
    """Return the parser; every field of `PretrainSettings` is an option."""
    found = argparse.ArgumentParser(
        "python -m lab.train", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--config", type=Path, metavar="FILE", help="run file, YAML or JSON; names as the options, with _")
    found.add_argument("--skip-bad", action="store_true", help="leave out bad rows of labels and count them")
    found.add_argument("--replan", action="store_true", help="resume although the plan (images, rates, workers) differs")
    group = found.add_argument_group("settings of training from nothing")
    for name, field in PretrainSettings.model_fields.items():
        default = "" if field.is_required() or field.default == "" else f" ({field.default})"
        words = (field.description or name).rstrip(".")
        group.add_argument(
            f"--{name.replace('_', '-')}", metavar="VALUE", help=f"{words[0].lower()}{words[1:]}{default}".replace("%", "%%")
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the training to its end, and return the exit status."""
    options = vars(parser().parse_args(arguments))
    config, skip_bad, replan = (options.pop(name) for name in ("config", "skip_bad", "replan"))
    given = {name: value for name, value in options.items() if value is not None}
    try:
        values = read_run_file(config) if config else {}
        folder = _run(values, given, str(config or "options"), skip_bad, replan)
    except MolmoPointError as error:
        print(f"lab.train: {error}", file=sys.stderr)
        return 1
    print(f"trained: {folder}")
    return 0


def _run(values: dict[str, Any], given: dict[str, Any], origin: str, skip_bad: bool, replan: bool) -> Path:
    if not any(name in values for name in _TUNING):
        if skip_bad:
            raise InputError("--skip-bad must be given with rows of labels", "a run on rendered scenes alone", "leave it out")
        settings = parse_settings(PretrainSettings, values | given, origin)
        return pretrain(settings, _say, draw_curves, replan)
    refused = [f"--{name.replace('_', '-')}" for name in given if name != "out"] + ["--replan"] * replan
    if refused:
        fix = "write the settings into the file; docs/training.md has all names"
        raise InputError("Options of training from nothing must be left out", ", ".join(refused), fix)
    values = values | given | ({"skip_bad": True} if skip_bad else {})
    return tune(parse_settings(SceneTuneSettings, values, origin), _say, draw_curves)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
