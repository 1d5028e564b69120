"""The `molmo-point eval place` command: objects placed in containers by language, in random scenes with known truth."""

import argparse
import sys
from typing import Any

from molmo_point.cli.progress import counted
from molmo_point.cli.signal_end import must_unwind
from molmo_point.evaluation.intervals import figure_row, markdown
from molmo_point.evaluation.place_trial import place_summary, run_place_trial
from molmo_point.picking.pick_settings import PickSettings
from molmo_point.pointer import Pointer


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run the picks and placings; return the figures and their table."""
    pointer = Pointer.from_pretrained(options.model, device=options.device)
    settings = PickSettings(accept_cautions=options.accept_cautions)
    trials = []
    for seed in counted(range(options.seed, options.seed + options.scenes), options.scenes, "place"):
        with must_unwind():
            trial = run_place_trial(pointer, seed, settings)
        trials.append(trial)
        if options.scenes == 1:
            print(*trial.events, sep="\n", file=sys.stderr)
        if not (trial.lifted and trial.inside):
            what = trial.message if trial.lifted or trial.failure else f"another object was lifted; {trial.message}"
            print(f"seed {seed}, {trial.query!r} into the {trial.container}: {what}", file=sys.stderr)
    figures = place_summary(trials)
    accepted = sorted(settings.accept_cautions)
    data = {"model": options.model, "accept_cautions": accepted, "first_seed": options.seed, **figures, "all": trials}
    return data, _table(figures)


def _table(figures: dict[str, Any]) -> str:
    flat = {**figures, **{f"inside the {kind}": value for kind, value in figures["by container"].items()}}
    del flat["by container"]
    rows = [figure_row(name, value, ".3g") for name, value in flat.items() if not isinstance(value, dict) or value["trials"]]
    return markdown(("", "", "95 % interval", "trials"), rows)
