"""`molmo-point eval photographs`: a model on real photographs that come with packages."""

import argparse
from typing import Any

from lab.evaluation.household import check as check_plot
from lab.evaluation.household import draw_verdicts
from molmo_point.errors import InputError

DEFAULT_SCENES = 0
"""The photographs are what they are; `--scenes` is refused."""


def check(options: argparse.Namespace) -> None:
    """Refuses options of other measurements.

    Raises:
        InputError: A number of scenes or a seed was given, or the picture's folder does not exist.
    """
    if options.scenes != DEFAULT_SCENES or options.seed is not None:
        given = f"--scenes {options.scenes} --seed {options.seed}"
        raise InputError("The photographs have no number and no seed", given, "leave out --scenes and --seed")
    check_plot(options)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Figures as plain data, and a Markdown table of them; with ``--plot`` every answer is drawn."""
    from benchmarks.photographs.benchmark import photo_questions
    from lab.evaluation.answer_kinds import evaluate_household, summary
    from molmo_point.evaluation.tabletop import table
    from molmo_point.pointer import Pointer

    questions = list(photo_questions(options.photos))
    pointer = Pointer.from_pretrained(options.model, device=options.device)
    sheet = evaluate_household(pointer, questions)
    figures = summary(sheet)
    if options.plot:
        draw_verdicts(options.plot, sheet.verdicts)
    return figures, table(figures)
