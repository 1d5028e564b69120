"""A checkpoint on real photographs that come with packages.

python -m benchmarks.photographs --photos FOLDER --plot answers.png
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.photographs.benchmark import photo_questions
from benchmarks.program import add_output, run_program
from lab.evaluation.answer_kinds import evaluate_household, summary
from lab.evaluation.household import draw_verdicts
from molmo_point.evaluation.tabletop import table
from molmo_point.pointer import Pointer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="a folder that holds them")
    add_output(parser, plot="all answers")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Ask every question.

    Returns:
        The figures, and a table of them.
    """
    questions = list(photo_questions(options.photos))
    sheet = evaluate_household(Pointer.from_pretrained(options.model, device=options.device), questions)
    figures = summary(sheet)
    if options.plot:
        draw_verdicts(options.plot, sheet.verdicts)
    return {"benchmark": "photographs", "model": options.model, **figures}, table(figures)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.photographs", __doc__, add_arguments, measure))
