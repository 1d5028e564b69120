"""Figures of the evaluation of taught objects, and their tables."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from molmo_point.evaluation.calibration_fit import Claims, bootstrapped, brier_score, expected_calibration_error, reliability
from molmo_point.evaluation.intervals import figure_row, markdown, share
from molmo_point.evaluation.teach.taught_answers import Asked, TaughtAnswer, of_kind
from molmo_point.evaluation.teach.toy_evaluation import TeachRun

FALSE_ALARMS = 0.05
"""Share of absent objects that may be found; the decisions of a library state the same rate."""


def summarize_teaching(run: TeachRun) -> dict[str, Any]:
    """Return all figures; shares come with their 95 % interval and number of trials."""
    answers = run.answers
    figures = {**_pointing(answers), **_twins(answers), "calibration": calibration_of(answers)}
    figures["kinds"] = {
        kind: share([a.likeliest_right for a in answers if a.kind == kind and a.asked is Asked.PRESENT])
        for kind in dict.fromkeys(a.kind for a in answers)
    }
    return figures | {
        "views refused": share([True] * run.refused + [False] * (run.offered - run.refused)),
        "objects not taught": run.untaught,
        "teaching s, median": _median(run.teach_s),
        "teaching s, longest": max(run.teach_s, default=math.nan),
        "question ms, median": {str(count): _median(times) for count, times in run.question_ms.items()},
    }


def _pointing(answers: Sequence[TaughtAnswer]) -> dict[str, Any]:
    present, absent = of_kind(answers, Asked.PRESENT), of_kind(answers, Asked.ABSENT)
    # At the level that keeps to the rate on these very questions; it tells ranking apart from calibration.
    level = float(np.quantile([a.absent_probability for a in absent], FALSE_ALARMS)) if absent else math.nan
    surest = sorted(present, key=lambda a: a.absent_probability)[: len(present) // 2]
    rate = f"{100 * FALSE_ALARMS:.0f} %"
    return {
        "likeliest place right": share([a.likeliest_right for a in present]),
        "likeliest place right, surest half": share([a.likeliest_right for a in surest]),
        "found, by the library's decision": share([a.found for a in present]),
        "found and right, by the library's decision": share([a.right for a in present]),
        f"false alarms, stated {rate}": share([a.found for a in absent]),
        f"found and right at {rate} false alarms": share([a.likeliest_right and a.absent_probability < level for a in present]),
        "present against absent, AUROC": auroc([-a.absent_probability for a in present], [-a.absent_probability for a in absent]),
        "wrong point without caution and above 0.5": share([_trusted_wrong(a) for a in answers]),
        "answers under caution": share([bool(a.cautions) for a in answers if a.found]),
    }


def _twins(answers: Sequence[TaughtAnswer]) -> dict[str, Any]:
    both, alone = of_kind(answers, Asked.BOTH), of_kind(answers, Asked.TWIN)
    warned = [a for a in alone if a.found]
    return {
        "twins: the right one of both": share([a.likeliest_right for a in both]),
        "twins: points at the twin alone": share([a.found for a in alone]),
        "twins: of those, with a caution": share([bool(a.cautions) for a in warned]),
    }


def _trusted_wrong(answer: TaughtAnswer) -> bool:
    return answer.found and not answer.right and not answer.cautions and answer.confidence > 0.5


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Probability that a positive value is above a negative one; NaN without values of both kinds."""
    if not positive or not negative:
        return math.nan
    more, less = np.array(positive)[:, None], np.array(negative)[None]
    return float(np.mean((more > less) + 0.5 * (more == less)))


def calibration_of(answers: Sequence[TaughtAnswer]) -> dict[str, Any]:
    """Return the calibration of points and of denials: expected calibration error, Brier score, reliability."""
    return {
        name: {
            "expected calibration error": bootstrapped(expected_calibration_error, claims),
            "Brier score": bootstrapped(brier_score, claims),
            "reliability": reliability(claims),
        }
        for name, claims in (("confidence", point_claims(answers)), ("absence", absence_claims(answers)))
    }


def point_claims(answers: Sequence[TaughtAnswer]) -> Claims:
    """Return the stated probabilities of points, next to their truth."""
    return _claims([(a.confidence, a.right, a.table) for a in answers if a.found])


def absence_claims(answers: Sequence[TaughtAnswer]) -> Claims:
    """Return the stated probabilities that an object is absent, next to the truth."""
    asked = (Asked.PRESENT, Asked.ABSENT)
    return _claims([(a.absent_probability, a.asked is Asked.ABSENT, a.table) for a in answers if a.asked in asked])


def _claims(rows: Sequence[tuple[float, bool, int]]) -> Claims:
    values = np.array([row for row in rows if math.isfinite(row[0])], float).reshape(-1, 3)
    return Claims(values[:, 0], values[:, 1], np.ones(len(values)), values[:, 2])


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else math.nan


def teaching_tables(figures: dict[str, Any]) -> str:
    """Format the figures as Markdown tables."""
    nested = ("calibration", "kinds", "objects not taught", "question ms, median")
    rows = [figure_row(name, value, ".2f") for name, value in figures.items() if name not in nested and _known(value)]
    rows += [(f"question ms, {n} taught", f"{ms:.0f}", "", "") for n, ms in figures["question ms, median"].items()]
    for name, measures in figures["calibration"].items():
        for measure in ("expected calibration error", "Brier score"):
            value = measures[measure]
            if value["trials"]:
                interval = f"{value['low']:.3f} to {value['high']:.3f}"
                rows.append((f"{measure}, {name}", f"{value['value']:.3f}", interval, value["trials"]))
    parts = [markdown(("measure", "value", "95 % interval", "trials"), rows)]
    kinds = [figure_row(name, value, "") for name, value in figures["kinds"].items() if value["trials"]]
    parts.append(markdown(("likeliest place right", "share", "95 % interval", "trials"), kinds))
    if figures["objects not taught"]:
        parts.append(f"not taught, every view was refused: {', '.join(figures['objects not taught'])}")
    return "\n\n".join(parts)


def _known(value: Any) -> bool:
    return bool(value["trials"]) if isinstance(value, dict) else math.isfinite(value)
