"""A model on fresh household scenes, with a picture of its errors.

python -m lab.evaluation.household --scenes 1000 --plot errors.png
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.program import add_output, run_program

DEFAULT_SCENES = 1000
_SHOWN = 30


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Measure; with ``--plot`` also draw the worst cases and random ones.

    Returns:
        The figures, and a Markdown table of them.
    """
    import numpy as np
    from tqdm import tqdm

    from lab.evaluation.answer_kinds import evaluate_household, summary
    from lab.evaluation.fresh_scenes import fresh_questions
    from molmo_point.evaluation.tabletop import table
    from molmo_point.pointer import Pointer

    pointer = Pointer.from_pretrained(options.model, device=options.device)
    questions = tqdm(fresh_questions(options.scenes, options.seed), desc="questions", unit="question")
    sheet = evaluate_household(pointer, questions)
    figures = summary(sheet)
    if options.plot:
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(sheet.verdicts))[:_SHOWN]
        worst = sheet.worst(_SHOWN)
        draw_verdicts(options.plot, [*worst, *[None] * (-len(worst) % 6), *(sheet.verdicts[int(k)] for k in chosen)])
    return {"model": options.model, **figures}, table(figures)


def draw_verdicts(path: Path, verdicts: list[Any]) -> None:
    """Write a picture of answers with the truth; None leaves a place blank."""
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    from lab.evaluation.fresh_scenes import FIRST_SEED

    parser.add_argument("--model", default="household", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    add_output(parser, scenes=DEFAULT_SCENES, seed=FIRST_SEED, plot="the worst answers and random ones")


if __name__ == "__main__":
    sys.exit(run_program("lab.evaluation.household", __doc__, add_arguments, measure))
