"""Trust of a checkpoint in its answers about foreign pictures and foreign objects.

python -m benchmarks.trust --folder FOLDER --rows answers.jsonl --wrong wrong.png

Asks about photographs that packages carry, about frames of robot cameras where a folder has them, and about rendered
household objects. The table is that of `molmo-point eval trust`.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.program import add_output, check_folder, run_program
from benchmarks.trust.household_questions import HELD_OUT, HOUSEHOLD, household_questions
from benchmarks.trust.photograph_questions import (
    PHOTOGRAPH,
    ROBOT_CAMERA,
    find_pictures,
    labeled_pictures,
    photograph_questions,
)
from lab.evaluation.case_grid import Case, case_grid
from molmo_point.evaluation.calibration_fit import reliability
from molmo_point.evaluation.trust_questions import TrustQuestion
from molmo_point.evaluation.trust_table import TrustAnswer, Verdict, claims_of, summarize, tables
from molmo_point.evaluation.trust_words import Half
from molmo_point.files import write_file
from molmo_point.pointer import Pointer
from molmo_point.results import Pointing

KINDS = (PHOTOGRAPH, ROBOT_CAMERA, HOUSEHOLD, HELD_OUT)
Asked = tuple[TrustQuestion, Pointing, TrustAnswer]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=f"any of: {', '.join(KINDS)}")
    parser.add_argument("--half", choices=[half.value for half in Half], default=Half.BOTH.value, help="half of the pictures")
    parser.add_argument("--folder", type=Path, action="append", default=[], metavar="DIR", help="a folder that holds pictures")
    parser.add_argument("--details", action="store_true", help="print a row for each kind within a kind, too")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="write every answer as a line of JSON")
    parser.add_argument("--wrong", type=Path, metavar="FILE", help="write a PNG: all answers that are wrong and trusted")
    add_output(parser, scenes=60, unit="scenes of each kind of rendered objects", plot="reliability of what is stated")
    parser.add_argument("--seed", type=int, help="first of the rendered scenes (default: that of the half)")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Ask every question.

    Returns:
        The figures, and a table of them.
    """
    for option in ("rows", "wrong"):
        check_folder(f"--{option}", getattr(options, option))
    pictures = [picture for picture in labeled_pictures(Half(options.half)) if picture.kind in options.kinds]
    found = find_pictures(pictures, options.folder) if pictures else {}
    questions = chain(photograph_questions(found), _rendered(options))
    asked = list(_answers(Pointer.from_pretrained(options.model, device=options.device), questions))
    answers = [answer for _, _, answer in asked]
    figures = summarize(answers)
    if options.rows:
        lines = (json.dumps({**answer.to_dict(), "answer": pointing.to_dict()}) for _, pointing, answer in asked)
        write_file(options.rows, "".join(f"{line}\n" for line in lines).encode())
    wrong = [each for each in asked if each[2].verdict is Verdict.WRONG_TRUSTED]
    if options.wrong:
        case_grid([_case(each) for each in wrong]).save(options.wrong, "PNG")
    if options.plot:
        _draw_reliability(options.plot, asked)
    counts = {"listed": len(pictures), "found": len(found)}
    about = {"benchmark": "trust", "model": options.model, "half": options.half, "pictures": counts}
    listed = [f"wrong and trusted: {_line(answer)}" for _, _, answer in wrong]
    return {**about, **figures}, "\n".join([tables(figures, options.details), *listed])


def _rendered(options: argparse.Namespace) -> Iterator[TrustQuestion]:
    for kind in options.kinds:
        if kind in (HOUSEHOLD, HELD_OUT):
            yield from household_questions(kind, options.scenes, Half(options.half), options.seed)


def _answers(pointer: Pointer, questions: Iterable[TrustQuestion]) -> Iterator[Asked]:
    for question in questions:
        pointing = pointer.point(question.frame, question.words)
        yield question, pointing, TrustAnswer.of(question, pointing)


def _case(asked: Asked) -> Case:
    question, pointing, answer = asked
    named = ", ".join(dict.fromkeys(point.label for point in pointing.points)) or "none"
    places = [(point.u, point.v) for point in pointing.points]
    return Case(question.frame.color, question.right_mask, places, f"{question.words} > {named} {answer.wrong_stated:.2f}", False)


def _line(answer: TrustAnswer) -> str:
    return f"{answer.kind}, {answer.detail}, scene {answer.scene}: {answer.words!r}, {answer.wrong_stated:.2f}, {answer.text}"


def _draw_reliability(path: Path, asked: list[Asked]) -> None:
    from molmo_point.viz.overlay import save_png
    from molmo_point.viz.reliability_diagram import draw_reliability

    panels = []
    for kind in KINDS:
        mine = [each for each in asked if each[2].kind == kind]
        raw, stated = claims_of(map(_unjudged, mine)), claims_of(answer for _, _, answer in mine)
        if mine:
            panels.append((kind, reliability(raw), reliability(stated)))
    save_png(path, draw_reliability(panels))


def _unjudged(asked: Asked) -> TrustAnswer:
    """Return the answer with the model's own probabilities, as without cautions and calibration."""
    _, pointing, answer = asked
    rows = zip(answer.points, pointing.points, strict=True)
    points = tuple((u, v, point.digit_probability, right) for (u, v, _, right), point in rows)
    return replace(answer, points=points, stated=pointing.denial_probability)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.trust", __doc__, add_arguments, measure))
