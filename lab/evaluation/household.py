"""A checkpoint on fresh household scenes, with a picture of its errors.

python -m lab.evaluation.household --model household --scenes 1000 --plot errors.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.program import add_output, run_program
from lab.evaluation.answer_kinds import Verdict, evaluate_household, summary
from lab.evaluation.case_grid import Case, case_grid
from lab.evaluation.fresh_scenes import FIRST_SEED, fresh_questions
from molmo_point.cli.progress import counted
from molmo_point.evaluation.tabletop import table
from molmo_point.pointer import Pointer

_SHOWN = 30
"""Cases of a picture: so many of the worst, and so many random ones."""
_QUESTIONS = 4
"""Most questions about one scene."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    parser.add_argument("--model", default="household", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    add_output(parser, scenes=1000, seed=FIRST_SEED, plot="the worst cases, and random ones")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Ask every question; with ``--plot`` also draw the worst cases and random ones.

    Returns:
        The figures, and a Markdown table of them.
    """
    pointer = Pointer.from_pretrained(options.model, device=options.device)
    questions = fresh_questions(options.scenes, options.seed, _QUESTIONS)
    sheet = evaluate_household(pointer, counted(questions, _QUESTIONS * options.scenes, "question"))
    figures = summary(sheet)
    if options.plot:
        chosen = np.random.default_rng(0).permutation(len(sheet.verdicts))[:_SHOWN]
        worst = sheet.worst(_SHOWN)
        draw_verdicts(options.plot, [*worst, *[None] * (-len(worst) % 6), *(sheet.verdicts[int(k)] for k in chosen)])
    return {"benchmark": "household", "model": options.model, **figures}, table(figures)


def draw_verdicts(path: Path, verdicts: Sequence[Verdict | None]) -> None:
    """Write a picture of answers and truth; None leaves a place blank."""
    blank = Case(np.zeros((480, 640, 3), np.uint8), np.zeros((480, 640), bool), (), "", True)
    case_grid([_case(verdict) if verdict else blank for verdict in verdicts]).save(path)


def _case(verdict: Verdict) -> Case:
    question = verdict.question
    return Case(
        question.frame.color,
        np.isin(question.mask, question.targets),
        [(point.u, point.v) for point in verdict.points],
        f"{question.kind}: {question.phrase}",
        verdict.right,
    )


if __name__ == "__main__":
    sys.exit(run_program("lab.evaluation.household", __doc__, add_arguments, measure))
