"""The `molmo-point eval place` command: objects placed in containers by language, in random scenes with known truth."""

import argparse
import sys
from typing import Any

from molmo_point.cli.progress import counted
from molmo_point.errors import InputError

DEFAULT_SCENES = 40


def check(options: argparse.Namespace) -> None:
    """Refuse before the measurement what cannot be done after it.

    Raises:
        InputError: A plot was asked for.
    """
    if options.plot is not None:
        raise InputError("eval place draws no picture", f"--plot {options.plot}", "leave it out, or use --out")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the picks and placings.

    Returns:
        The figures, and a table of them.
    """
    from molmo_point.evaluation.place_trial import FIRST_SEED, place_summary, run_place_trial
    from molmo_point.pointer import Pointer

    first = FIRST_SEED if options.seed is None else options.seed
    pointer = Pointer.from_pretrained(options.model, device=options.device)
    trials = []
    for seed in counted(range(first, first + options.scenes), options.scenes, "place"):
        trial = run_place_trial(pointer, seed)
        trials.append(trial)
        if options.scenes == 1:
            print(*trial.events, sep="\n", file=sys.stderr)
        if not (trial.lifted and trial.inside):
            what = trial.message if trial.lifted or trial.failure else f"another object was lifted; {trial.message}"
            print(f"seed {seed}, {trial.query!r} into the {trial.container}: {what}", file=sys.stderr)
    figures = place_summary(trials)
    data = {"model": options.model, "first_seed": first, **figures, "all": [trial.to_dict() for trial in trials]}
    return data, _table(figures)


def _table(figures: dict[str, Any]) -> str:
    rows = ["| | | 95 % interval | trials |", "|---|---|---|---|"]
    flat = {**figures, **{f"inside the {kind}": value for kind, value in figures["by container"].items()}}
    for name, value in flat.items():
        if name == "by container":
            continue
        if not isinstance(value, dict):
            rows.append(f"| {name} | {value:.3g} | | |")
        elif value["trials"]:
            between = f"{value['low']:.1%} to {value['high']:.1%}"
            rows.append(f"| {name} | {value['share']:.1%} | {between} | {value['trials']} |")
    return "\n".join(rows)
