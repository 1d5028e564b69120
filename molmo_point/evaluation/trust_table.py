"""Table of the trust evaluation: answers that are right or wrong, and trusted, cautioned or unsure.

An answer is *right* if it has a point and all its points lie on what was meant; about an absent object, if it has no point.
It is *trusted* without a caution and with a stated probability above 0.5, *cautioned* with a caution, else *unsure*.
A wrong answer is trusted only if what is wrong in it was stated above 0.5.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from molmo_point.evaluation.calibration_fit import Claims, bootstrapped, brier_score, expected_calibration_error, reliability
from molmo_point.evaluation.intervals import markdown, share
from molmo_point.evaluation.tabletop import at_point
from molmo_point.evaluation.trust_questions import IN_DOMAIN, TrustQuestion
from molmo_point.plain_json import plain_json
from molmo_point.results import Pointing

TRUSTED_ABOVE = 0.5
_MOVED_PX = 20.0
"""An answer has changed if a point has moved by more pixels of an image 640 wide."""


class Verdict(str, Enum):
    """Trust in an answer, next to its truth."""

    RIGHT_TRUSTED = "right and trusted"
    RIGHT_UNSURE = "right, stated at most 0.5"
    RIGHT_CAUTIONED = "right and cautioned"
    WRONG_CAUTIONED = "wrong and cautioned"
    WRONG_UNSURE = "wrong, stated at most 0.5"
    WRONG_TRUSTED = "wrong and trusted"


@dataclass(frozen=True)
class TrustAnswer:
    """One answer with its truth.

    Attributes:
        kind: Kind of the question.
        detail: Kind within the kind.
        scene: Number of the scene.
        words: Words of the question.
        plain: Words of the plain wording of the same question; "" without one.
        absent: True if nothing in the picture was meant.
        denied: True if the answer denies the object and has no point.
        right: True if the answer is right.
        stated: Largest confidence of the points; for a denial its probability; NaN when unknown.
        wrong_stated: Largest confidence of the points that are wrong, or the probability of a wrong denial; NaN without any.
        absent_probability: Probability that nothing fits, as stated; NaN when unknown.
        points: Column, row and confidence of each point, and True if it is right.
        width: Width of the picture, pixels.
        missing: Number of meant objects without a point; -1 where objects are not told apart.
        cautions: Kinds of the cautions.
        text: Text of the model.
    """

    kind: str
    detail: str
    scene: int
    words: str
    plain: str
    absent: bool
    denied: bool
    right: bool
    stated: float
    wrong_stated: float
    absent_probability: float
    points: tuple[tuple[float, float, float, bool], ...]
    width: int
    missing: int
    cautions: tuple[str, ...]
    text: str

    @classmethod
    def of(cls, question: TrustQuestion, pointing: Pointing) -> "TrustAnswer":
        """Judge the answer to a question."""
        hits = tuple(bool(at_point(question.right_mask, point)) for point in pointing.points)
        rows = tuple((p.u, p.v, p.confidence, hit) for p, hit in zip(pointing.points, hits, strict=True))
        denied = pointing.absent and not pointing.points
        right = not hits if question.absent else bool(hits) and all(hits)
        if hits:
            stated = _largest(row[2] for row in rows)
            wrong_stated = _largest(row[2] for row in rows if not row[3])
        else:
            stated = pointing.absent_probability if denied else math.nan
            wrong_stated = math.nan if right else stated
        return cls(
            kind=question.kind,
            detail=question.detail,
            scene=question.scene,
            words=question.words,
            plain=question.plain,
            absent=question.absent,
            denied=denied,
            right=right,
            stated=stated,
            wrong_stated=wrong_stated,
            absent_probability=pointing.absent_probability,
            points=rows,
            width=question.frame.size_wh[0],
            missing=_missing(question, pointing),
            cautions=tuple(caution.kind.value for caution in pointing.cautions),
            text=pointing.text,
        )

    @property
    def verdict(self) -> Verdict:
        """Trust in the answer, next to its truth."""
        if self.cautions:
            return Verdict.RIGHT_CAUTIONED if self.right else Verdict.WRONG_CAUTIONED
        if self.right:
            return Verdict.RIGHT_TRUSTED if self.stated > TRUSTED_ABOVE else Verdict.RIGHT_UNSURE
        return Verdict.WRONG_TRUSTED if self.wrong_stated > TRUSTED_ABOVE else Verdict.WRONG_UNSURE

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return plain_json({**vars(self), "verdict": self.verdict.value})


def _largest(values: Iterable[float]) -> float:
    return max((value for value in values if math.isfinite(value)), default=math.nan)


def _missing(question: TrustQuestion, pointing: Pointing) -> int:
    if question.instances is None:
        return -1
    wanted = set(np.unique(question.instances[question.right_mask]).tolist())
    return len(wanted - {int(at_point(question.instances, point)) for point in pointing.points})


def changed(answer: TrustAnswer, plain: TrustAnswer) -> bool:
    """True if an answer differs from that to the plain wording: in the number of points, or in the place of one."""
    if len(answer.points) != len(plain.points) or answer.denied != plain.denied:
        return True
    far = _MOVED_PX * answer.width / 640
    return any(min(math.dist(one[:2], other[:2]) for other in plain.points) > far for one in answer.points)


def changes(answers: Sequence[TrustAnswer]) -> dict[str, list[bool]]:
    """Return by wording, for each answer, whether it differs from that to the plain wording of the same question."""
    plain = {(a.kind, a.scene, a.plain): a for a in answers if a.plain and a.words == a.plain}
    found: dict[str, list[bool]] = {}
    for answer in answers:
        same = plain.get((answer.kind, answer.scene, answer.plain))
        if same is not None and answer.words != answer.plain:
            found.setdefault(answer.detail, []).append(changed(answer, same))
    return found


def claims_of(answers: Iterable[TrustAnswer]) -> Claims:
    """Return the stated probabilities with the truth: of each point, and of each denial; an answer weighs one.

    Answers without a probability state nothing, and are left out.
    """
    rows: list[tuple[float, bool, float, int]] = []
    for answer in answers:
        stated = [(p[2], p[3]) for p in answer.points] if answer.points else [(answer.stated, answer.right)]
        told = [(value, true) for value, true in stated if math.isfinite(value)]
        rows += [(value, true, 1 / len(told), answer.scene) for value, true in told]
    stated, true, weight, scene = np.array(rows, float).reshape(-1, 4).T
    return Claims(stated, true, weight, scene)


def summarize(answers: Sequence[TrustAnswer]) -> dict[str, Any]:
    """Return all figures; shares come with their 95 % interval and number of trials."""
    known, foreign = ([a for a in answers if (a.kind in IN_DOMAIN) == inside] for inside in (True, False))
    words = changes(answers)
    every = [value for values in words.values() for value in values]
    right = [a for a in known if a.right]
    return {
        "questions": len(answers),
        "scenes": len({a.scene for a in answers}),
        "kinds": _grouped(answers, lambda a: a.kind),
        "details": _grouped(answers, lambda a: f"{a.kind}: {a.detail}"),
        "right answers in domain that are trusted": share([a.verdict is Verdict.RIGHT_TRUSTED for a in right]),
        "wordings that change the answer": {"all": share(every), **{name: share(values) for name, values in words.items()}},
        "calibration": {name: _calibration(each) for name, each in (("in domain", known), ("outside", foreign))},
    }


def _grouped(answers: Sequence[TrustAnswer], key: Callable[[TrustAnswer], str]) -> dict[str, Any]:
    groups: dict[str, list[TrustAnswer]] = {}
    for answer in answers:
        groups.setdefault(key(answer), []).append(answer)
    return {name: _figures(each) for name, each in groups.items()}


def _figures(answers: Sequence[TrustAnswer]) -> dict[str, Any]:
    fired = Counter(kind for answer in answers for kind in answer.cautions)
    complete = [a.missing == 0 for a in answers if a.right and not a.absent and a.missing >= 0]
    return {
        "questions": len(answers),
        "absent": sum(a.absent for a in answers),
        "right": share([a.right for a in answers]),
        **{verdict.value: share([a.verdict is verdict for a in answers]) for verdict in Verdict},
        "right answers with all objects": share(complete),
        "cautions": dict(fired.most_common()),
    }


def _calibration(answers: Sequence[TrustAnswer]) -> dict[str, Any]:
    claims = claims_of(answers)
    measures = {"expected calibration error": expected_calibration_error, "Brier score": brier_score}
    return {
        **{name: bootstrapped(measure, claims) for name, measure in measures.items()},
        "stated": share([math.isfinite(a.stated) for a in answers]),
        "reliability": reliability(claims),
    }


def tables(figures: dict[str, Any], details: bool = False) -> str:
    """Format the figures as Markdown tables; with `details` a row for each kind within a kind."""
    parts = [_verdict_table(figures["kinds"])]
    if details:
        parts.append(_verdict_table(figures["details"]))
    trusted, words = figures["right answers in domain that are trusted"], figures["wordings that change the answer"]["all"]
    rows = [("right answers in domain that are trusted", *_cells(trusted)), ("wordings that change the answer", *_cells(words))]
    for name, measured in figures["calibration"].items():
        for measure in ("expected calibration error", "Brier score"):
            figure = measured[measure]
            interval = f"{figure['low']:.3f} to {figure['high']:.3f}"
            rows.append((f"{measure}, {name}", f"{figure['value']:.3f}", interval, figure["trials"]))
    parts.append(markdown(("measure", "value", "95 % interval", "trials"), [row for row in rows if row[-1]]))
    return "\n\n".join(parts)


def _cells(figure: dict[str, Any]) -> tuple[object, ...]:
    interval = f"{100 * figure['low']:.1f} to {100 * figure['high']:.1f} %"
    return f"{100 * figure['share']:.1f} %", interval, figure["trials"]


def _verdict_table(groups: dict[str, Any]) -> str:
    order = (
        Verdict.RIGHT_TRUSTED, Verdict.RIGHT_UNSURE, Verdict.RIGHT_CAUTIONED, Verdict.WRONG_CAUTIONED, Verdict.WRONG_UNSURE,
    )  # fmt: skip
    rows = []
    for name, group in groups.items():
        wrong, interval, _ = _cells(group[Verdict.WRONG_TRUSTED.value])
        fired = ", ".join(f"{kind} {count}" for kind, count in group["cautions"].items())
        shares = [f"{100 * group[verdict.value]['share']:.0f} %" for verdict in order]
        rows.append((name, group["questions"], *shares, f"**{wrong}**", interval, fired or "none"))
    head = ("questions about", "n", *(v.value for v in order), Verdict.WRONG_TRUSTED.value, "95 % interval", "cautions")
    return markdown(head, rows)
