"""Calibration of a checkpoint's probabilities on household scenes.

python -m lab.evaluation.household_confidence --model household --scenes 200 --write
"""

import argparse
import contextlib
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.program import add_output, run_program
from lab.evaluation.fresh_scenes import FIRST_SEED, FreshQuestion, fresh_questions
from molmo_point.cli.evaluate.confidence import calibrate, check_output
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError
from molmo_point.evaluation.observations import Observations, note_answer, note_offset, uncalibrated
from molmo_point.pointer import Pointer

_FITTING_SEED = 941
"""Seed of the scenes to fit on; scenes of another seed share nothing with them."""
_QUESTIONS = 4
"""Most questions about one scene."""


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Fit on household scenes and measure on others.

    Raises:
        InputError: The test scenes are those that are fitted on, or a file cannot be written.
    """
    if options.seed == _FITTING_SEED:
        raise InputError("Test scenes must not be the fitted ones", f"--seed {options.seed}", "leave --seed out")
    check_output(options)
    with contextlib.redirect_stdout(sys.stderr):
        pointer = Pointer.from_pretrained(options.model, device=options.device)

        def observed(seed: int) -> tuple[dict[str, Any], Observations]:
            questions = fresh_questions(options.scenes, seed, _QUESTIONS)
            told = counted(questions, _QUESTIONS * options.scenes, "question")
            seen = observe_questions(pointer, told, pointer.backend.tells_spread)
            return {"scenes_of": "household", "seed": seed, "scenes": options.scenes, "answers": len(seen.answers)}, seen

        figures, lines = calibrate(options, (observed(seed) for seed in (_FITTING_SEED, options.seed)))
    return {"benchmark": "calibration", "model": options.model, **figures}, lines


def observe_questions(pointer: Pointer, questions: Iterable[FreshQuestion], spread: bool = True) -> Observations:
    """Ask questions about any scenes, without calibration; questions that count are left out.

    If several objects fit, a point on any of them is a hit, and its offset is that from the nearest one's middle.

    Args:
        pointer: The model.
        questions: Questions with their truth.
        spread: True also asks for the distribution of each point; needs a backend that tells it.
    """
    pointer, found = uncalibrated(pointer), Observations()
    for question in questions:
        if question.kind == "count":
            continue
        pointing = pointer.point(question.frame, question.phrase, spread=spread)
        note_answer(found, pointing, np.isin(question.mask, question.targets), question.scene)
        if pointing.points and question.targets:
            point = pointing.points[0]
            nearest = int(np.argmin(np.hypot(*(question.middles_px - point.uv).T)))
            note_offset(found, point, question.middles_px[nearest], question.mask.shape[1])
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    parser.add_argument("--model", default="household", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    add_output(parser, scenes=200, seed=FIRST_SEED, plot="reliability diagram")
    parser.add_argument("--write", action="store_true", help="store it in the checkpoint's pointing.json")


if __name__ == "__main__":
    sys.exit(run_program("lab.evaluation.household_confidence", __doc__, add_arguments, measure))
