"""An answer that was read, rated and judged: its points with their confidences, and its cautions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from molmo_point.backend import PointSpread
from molmo_point.cautions import Caution
from molmo_point.points.answer import ParsedAnswer
from molmo_point.points.answer_features import answer_features
from molmo_point.points.parse import parse_answer
from molmo_point.points.point_quality import rate_points
from molmo_point.points.stop_rule import GrowingAnswer
from molmo_point.request import Kind
from molmo_point.results import Completion, ImagePoint
from molmo_point.trust.answer_model import AnswerFeatures, log_odds
from molmo_point.trust.confidence_calibration import Calibration
from molmo_point.trust.judgment import AnswerFacts, judge


@dataclass(frozen=True, eq=False)
class JudgedAnswer:
    """An answer with everything that the text and its probabilities tell.

    Attributes:
        parsed: Content of the text.
        points: The wanted points in pixels of the image that the model saw, with confidence and error.
        cautions: Reasons for doubting the answer.
        problems: Faults of the text and of its end, in words.
        truncated: Whether the text ended before the answer did.
        absent_probability: Calibrated probability that nothing fits; NaN when unknown.
        denial_probability: The model's own probability of an answer that denies the object; NaN when unknown.
        count_confidence: Calibrated probability that a count is right; NaN when unknown.
        signals: Features of the answer that are known, by name.
    """

    parsed: ParsedAnswer
    points: tuple[ImagePoint, ...]
    cautions: tuple[Caution, ...] = ()
    problems: tuple[str, ...] = ()
    truncated: bool = False
    absent_probability: float = math.nan
    denial_probability: float = math.nan
    count_confidence: float = math.nan
    signals: Mapping[str, float] = field(default_factory=dict)


def judge_answer(
    answer: GrowingAnswer,
    size_wh: tuple[int, int],
    spreads: Sequence[PointSpread] = (),
    image_caution: Caution | None = None,
) -> JudgedAnswer:
    """Read an answer that has ended, rate its points, and judge it.

    Args:
        answer: The answer.
        size_wh: Width and height in pixels of the image that the model saw.
        spreads: Distributions of any of the points.
        image_caution: Caution about the image itself; None without one.
    """
    completion, backend = answer.completion, answer.backend
    training, calibration = backend.training, backend.calibration
    counts = answer.request.kind is Kind.COUNT
    parsed, named = _read(answer, size_wh, spreads)
    truncated = _is_truncated(parsed, completion, counts)
    features = answer_features(completion, parsed, named, answer.prompt.words, training)
    facts = AnswerFacts(
        answer.request.words,
        tuple(point.label for point in named if point.label),
        features.distance,
        features.around,
        image_caution,
        parsed.lost,
        truncated,
        parsed.object_count,
        parsed.stated_count if counts else None,
        () if completion.stated is None else completion.stated.cautions,
    )
    cautions = judge(facts, backend.name, training, calibration)
    # Tokens tell one confidence of all points; a model that states its quality does so for each.
    each = (features if completion.stated is None else replace(features, digit=log_odds(p.digit_probability)) for p in named)
    confidences = [calibration.of_point(known, cautions) for known in each]
    return JudgedAnswer(
        parsed,
        tuple(
            replace(point, confidence=confidence, label=point.label or answer.request.words)
            for point, confidence in zip(named, confidences, strict=True)
        ),
        cautions,
        _problems(parsed, answer),
        truncated,
        calibration.of_absence(features, cautions),
        completion.absent_probability,
        _count_confidence(features, calibration, cautions, bool(named)) if counts else math.nan,
        features.known,
    )


def _count_confidence(
    features: AnswerFeatures, calibration: Calibration, cautions: tuple[Caution, ...], has_points: bool
) -> float:
    """Return the probability that a count is right; a count of zero is right if nothing fits."""
    return calibration.of_count(features, cautions) if has_points else calibration.of_absence(features, cautions)


def _read(
    answer: GrowingAnswer, size_wh: tuple[int, int], spreads: Sequence[PointSpread]
) -> tuple[ParsedAnswer, tuple[ImagePoint, ...]]:
    """Read the text of an answer; return its content and the wanted points, rated, with the model's own labels."""
    completion, request, dialect, backend = answer.completion, answer.request, answer.dialect, answer.backend
    stopped = completion.finish_reason in ("points", "time")
    parsed = parse_answer(dialect.closed(completion.text) if stopped else completion.text, size_wh, dialect)
    rated = rate_points(completion, parsed, size_wh, backend.sigma_px, spreads, backend.calibration)
    wanted = rated if request.kind is Kind.COUNT else rated[: request.max_points]
    return parsed, tuple(replace(point, label=point.label or answer.label) for point in wanted)


def _is_truncated(parsed: ParsedAnswer, completion: Completion, counts: bool) -> bool:
    """Tell whether the text ended early; points that were not wanted are no part of an answer, but of a count."""
    ended = completion.finish_reason
    return (ended != "points" or counts) and (parsed.truncated or ended in ("length", "time", "points"))


def _problems(parsed: ParsedAnswer, answer: GrowingAnswer) -> tuple[str, ...]:
    """Name the faults of an answer: of its text, and of cutting it off."""
    found, request, ended = parsed.problems, answer.request, answer.completion.finish_reason
    if ended == "time":
        found = (*found, "the time budget was used up before the answer was complete")
    if request.kind is Kind.COUNT:
        return (*found, f"the model was stopped after {len(parsed.points)} points") if ended == "points" else found
    if len(parsed.points) > request.max_points:
        return (*found, f"{len(parsed.points)} points, of which {_first(request.max_points)} kept")
    if ended == "points" and request.labels:
        said = f"more than {request.max_points} point{'s' if request.max_points > 1 else ''}"
        return (*found, f"{said}, of which {_first(request.max_points)} kept")
    return found


def _first(count: int) -> str:
    return "the first is" if count == 1 else f"the first {count} are"
