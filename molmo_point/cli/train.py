"""`molmo-point train`: a Molmo on a user's labels, as a run file says."""

import argparse
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any

from molmo_point.errors import DependencyError, InputError

_DESCRIPTION = """\
Trains a Molmo on labels of photographs: rows in PixMo's formats or your own, all weights or LoRA adapters, over an NF4 base
if you like.

The folder of the run holds the checkpoint (or adapter), the state to resume from, log.csv and curves.png. The same command
resumes an unfinished run. docs/training.md has every setting and a complete example. Training on rendered scenes, and of
small models from nothing, is `python -m lab.train` in a checkout of the project."""
_EXAMPLE = """\
an example of a run file:
  base: tabletop                 # or allenai/Molmo-7B-D-0924, or a folder
  out: runs/mine
  data: [{path: labels.jsonl}]   # {"image": "photo.jpg", "label": "mugs", "points": [{"x": 41.0, "y": 63.5}]} in a line
  stages: [{stage: point, images: 2000}]
  lora: {}                       # leave out to train all weights; quantization: nf4 in the same file
"""
_LAB = "use python -m lab.train in a checkout of the project"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument("--config", type=Path, metavar="FILE", help="run file, YAML or JSON")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run, instead of the file's")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out bad rows and count them, instead of ending at the first"
    )
    parser.add_argument("--scenes", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the training to its end."""
    if options.scenes is not None:
        raise InputError("molmo-point train must be given labels", f"--scenes {options.scenes}", _LAB)
    if options.config is None:
        raise InputError("molmo-point train must be given a run file", "no --config", "see molmo-point train --help")
    # The first check of a run draws its curves: a missing library must be told before hours of training.
    missing = [name for name in ("pydantic", "matplotlib") if find_spec(name) is None]
    if missing:
        raise DependencyError("Training needs its extra", f"no {' and no '.join(missing)}", 'pip install "molmo_point[train]"')
    from molmo_point.finetuning.run_file import parse_settings, read_run_file
    from molmo_point.finetuning.run_settings import TuneSettings
    from molmo_point.finetuning.tuning import tune
    from molmo_point.viz.training_chart import draw_curves

    values = read_run_file(options.config)
    if _asks_for_scenes(values):
        raise InputError(
            "The run file must name labels", f"{options.config}: scenes", f"give rows of labels; for rendered scenes {_LAB}"
        )
    values |= {"out": str(options.out)} if options.out else {}
    values |= {"skip_bad": True} if options.skip_bad else {}
    settings = parse_settings(TuneSettings, values, str(options.config))
    folder = tune(settings, lambda line: print(line, file=sys.stderr), draw_curves)
    print(f"trained: {folder}")
    command = f"molmo-point eval calibration --data LABELS --model {quote(str(folder))} --write"
    print(f"it has no calibration yet; measure it on other pictures: {command}")
    return 0


def _asks_for_scenes(values: Mapping[str, Any]) -> bool:
    data = values.get("data")
    entries = [values, *(data if isinstance(data, list) else [])]
    return any(isinstance(entry, Mapping) and "scenes" in entry for entry in entries)
