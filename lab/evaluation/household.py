"""`molmo-point eval household`: a model on fresh household scenes, with a picture of where it errs."""

import argparse
from pathlib import Path
from typing import Any

from molmo_point.errors import InputError

DEFAULT_SCENES = 1000
_SHOWN = 30


def check(options: argparse.Namespace) -> None:
    """Refuses options of other measurements.

    Raises:
        InputError: The picture's folder does not exist.
    """
    if options.plot and not options.plot.absolute().parent.is_dir():
        raise InputError("There is no folder for the picture", str(options.plot), "name a file in a folder that exists")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Measures; with ``--plot`` also draws the worst cases and random ones.

    Returns:
        The figures, and a Markdown table of them.
    """
    import numpy as np
    from tqdm import tqdm

    from lab.evaluation.answer_kinds import evaluate_household, summary
    from lab.evaluation.fresh_scenes import FIRST_SEED, fresh_questions
    from molmo_point.evaluation.tabletop import table
    from molmo_point.pointer import Pointer

    pointer = Pointer.from_pretrained(options.model, device=options.device)
    seed = FIRST_SEED if options.seed is None else options.seed
    questions = tqdm(fresh_questions(options.scenes, seed), desc="questions", unit="question")
    sheet = evaluate_household(pointer, questions)
    figures = summary(sheet)
    if options.plot:
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(sheet.verdicts))[:_SHOWN]
        worst = sheet.worst(_SHOWN)
        draw_verdicts(options.plot, [*worst, *[None] * (-len(worst) % 6), *(sheet.verdicts[int(k)] for k in chosen)])
    return figures, table(figures)


def draw_verdicts(path: Path, verdicts: list[Any]) -> None:
    """Writes a picture of answers beside the truth; None leaves a place blank."""
    import numpy as np

    from lab.evaluation.case_grid import Case, case_grid

    blank = Case(np.zeros((480, 640, 3), np.uint8), np.zeros((480, 640), bool), (), "", True)
    cases = [
        blank
        if verdict is None
        else Case(
            verdict.question.frame.color,
            np.isin(verdict.question.mask, verdict.question.targets),
            [(point.u, point.v) for point in verdict.points],
            f"{verdict.question.kind}: {verdict.question.phrase}",
            verdict.right,
        )
        for verdict in verdicts
    ]
    case_grid(cases).save(path)
