"""The `molmo-point eval trust` command: whether wrong answers bear a caution or a low confidence."""

import argparse
import json
import sys
from typing import Any

from molmo_point.cli.output import MADE_BY, SOFTWARE
from molmo_point.cli.progress import counted
from molmo_point.evaluation.calibration_fit import reliability
from molmo_point.evaluation.trust_questions import IN_DOMAIN, trust_questions
from molmo_point.evaluation.trust_table import TrustAnswer, claims_of, summarize, tables
from molmo_point.evaluation.trust_words import Half
from molmo_point.files import write_file
from molmo_point.pointer import Pointer


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Ask the questions of every scene; return the figures and their tables."""
    half = Half(options.half or Half.BOTH)
    answers = _answers(Pointer.from_pretrained(options.model, device=options.device), options, half)
    about = {"model": options.model, "first_seed": options.seed, "half": half.value}
    if options.rows is not None:
        lines = (
            json.dumps({MADE_BY: SOFTWARE, "model": options.model, **answer.to_dict()}, allow_nan=False) for answer in answers
        )
        write_file(options.rows, ("\n".join(lines) + "\n").encode())
    if options.plot is not None:
        _draw(options, answers)
    figures = summarize(answers)
    return {**about, **figures}, tables(figures, options.details)


def _answers(pointer: Pointer, options: argparse.Namespace, half: Half) -> list[TrustAnswer]:
    """Ask with progress; Ctrl-C ends it, and keeps the answers that are there."""
    answers: list[TrustAnswer] = []
    try:
        for scene in counted(range(options.seed, options.seed + options.scenes), options.scenes, "scene"):
            for question in trust_questions(scene, half):
                answers.append(TrustAnswer.of(question, pointer.point(question.frame, question.words)))
    except KeyboardInterrupt:
        if not answers:
            raise
        print(f"stopped after {len(answers)} questions", file=sys.stderr)
    return answers


def _draw(options: argparse.Namespace, answers: list[TrustAnswer]) -> None:
    """Draw the reliability of what is stated with and without cautions, in domain and outside."""
    from molmo_point.viz.overlay import save_png
    from molmo_point.viz.reliability_diagram import draw_reliability

    panels = []
    for title, inside in (("in domain", True), ("outside", False)):
        these = [answer for answer in answers if (answer.kind in IN_DOMAIN) == inside]
        trusted = [answer for answer in these if not answer.cautions]
        panels.append((title, reliability(claims_of(these)), reliability(claims_of(trusted))))
    save_png(options.plot, draw_reliability(panels, ("all answers", "without caution")))
