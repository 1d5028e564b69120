"""Answers held against the truth: what counts as right for every kind of question."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from lab.evaluation.answer_kinds import Sheet, evaluate_household, judged, summary
from molmo_point.errors import NotTrainedError
from molmo_point.frame import RgbdFrame
from molmo_point.results import ImagePoint


def picture() -> np.ndarray:
    """Thing 0 in columns 10…19, thing 1 in columns 30…39, both in rows 5…14."""
    mask = np.full((48, 64), -1, np.int16)
    mask[5:15, 10:20] = 0
    mask[5:15, 30:40] = 1
    return mask


@dataclass(frozen=True)
class Asked:
    kind: str = "name"
    phrase: str = "mug"
    targets: tuple[int, ...] = (0,)
    middles_px: np.ndarray = field(default_factory=lambda: np.array([[14.5, 9.5]]))
    mask: np.ndarray = field(default_factory=picture)
    frame: RgbdFrame = field(default_factory=lambda: RgbdFrame(np.zeros((48, 64, 3), np.uint8), None, None, stamp_ns=1))


def at(*places: tuple[float, float]) -> tuple[ImagePoint, ...]:
    return tuple(ImagePoint(u, v, label="mug") for u, v in places)


ON_0, ON_1, OFF = (12.0, 7.0), (33.0, 7.0), (50.0, 40.0)


@pytest.mark.parametrize(
    ("asked", "points", "right", "complete"),
    [
        (Asked(), at(ON_0), True, True),
        (Asked(), at(ON_1), False, False),
        (Asked(), at(OFF), False, False),
        (Asked(), at(ON_0, ON_1), True, False),
        (Asked(), (), False, False),
        (Asked(targets=(0, 1)), at(ON_1, ON_0), True, True),
        (Asked(targets=(0, 1)), at(ON_0, (13.0, 8.0)), True, False),
        (Asked("count", targets=(0, 1)), at(ON_0, OFF), True, False),
        (Asked("count", targets=(0, 1)), at(ON_0), False, False),
        (Asked("absent", targets=()), (), True, True),
        (Asked("absent", targets=()), at(ON_0), False, False),
    ],
)
def test_what_is_right(asked: Asked, points: tuple[ImagePoint, ...], right: bool, complete: bool) -> None:
    verdict = judged(asked, points, not points, 5.0)
    assert (verdict.right, verdict.complete) == (right, complete)


def test_silence_is_no_absence() -> None:
    assert not judged(Asked("absent", targets=()), (), False, 1.0).right


def test_pixels_are_rounded_to_the_nearest() -> None:
    assert judged(Asked(), at((9.6, 14.4)), False, 1.0).right
    assert not judged(Asked(), at((9.4, 9.0)), False, 1.0).right
    assert not judged(Asked(), at((12.0, 14.6)), False, 1.0).right


def test_offsets_are_those_of_single_things() -> None:
    assert judged(Asked(), at((12.5, 19.5)), False, 1.0).offset_px == (-2.0, 10.0)
    assert judged(Asked(targets=(0, 1)), at(ON_0), False, 1.0).offset_px is None


def test_the_summary_counts_each_kind() -> None:
    sheet = Sheet()
    for asked, points in (
        (Asked(), at(ON_0)), (Asked(), at(ON_1)), (Asked("relation"), at((14.5, 12.5))), (Asked("unseen"), ()),
        (Asked("count", targets=(0, 1)), at(ON_0)), (Asked("count", targets=(0, 1)), ()), (Asked("absent", targets=()), ()),
    ):  # fmt: skip
        sheet.verdicts.append(judged(asked, points, not points, 20.0))
    figures = summary(sheet)
    shares = {name: (value["share"], value["trials"]) for name, value in figures.items() if isinstance(value, dict)}
    assert shares == {
        "name": (0.5, 2), "relation": (1.0, 1), "unseen": (0.0, 1), "point_in_mask": (0.5, 4), "all_and_only_what_fits": (0.5, 4),
        "count_exact": (0.0, 2), "count_within_one": (0.5, 2), "absent_recognised": (1.0, 1),
    }  # fmt: skip
    assert figures["latency_ms_median"] == 20.0
    assert figures["pixel_error_median"] == pytest.approx(np.hypot(2.5, 2.5))  # of 3.0, 3.5 and 18.7


def test_the_worst_come_first() -> None:
    sheet = Sheet([judged(Asked(phrase=name), at(place), False, 1.0) for name, place in
                   (("right", ON_0), ("near", (22.0, 9.0)), ("far", OFF), ("middle", ON_1))])  # fmt: skip
    sheet.verdicts.append(judged(Asked(phrase="nothing"), (), True, 1.0))
    assert [verdict.question.phrase for verdict in sheet.worst(9)] == ["far", "middle", "near", "nothing"]
    assert len(sheet.worst(2)) == 2


def test_counts_are_asked_as_counts() -> None:
    @dataclass
    class Answer:
        points: tuple[ImagePoint, ...]
        absent: bool
        timing_ms: dict[str, float]

    class FakePointer:
        def point(self, frame: RgbdFrame, query: str) -> Answer:
            return Answer(at(ON_0), False, {"total": 3.0})

        def count(self, frame: RgbdFrame, query: str) -> Answer:
            return Answer(at(ON_0, ON_1), False, {"total": 4.0})

    sheet = evaluate_household(FakePointer(), [Asked(), Asked("count", targets=(0, 1))])  # type: ignore[arg-type]
    assert [(v.right, v.latency_ms) for v in sheet.verdicts] == [(True, 3.0), (True, 4.0)]


def test_counts_that_the_model_refuses_are_left_out() -> None:
    class Refusing:
        def count(self, frame: RgbdFrame, query: str) -> None:
            raise NotTrainedError("it was not trained to count objects", "count", "use another")

    sheet = evaluate_household(Refusing(), [Asked("count", targets=(0, 1))])  # type: ignore[arg-type]
    assert sheet.verdicts == [] and summary(sheet)["count_exact"]["trials"] == 0  # type: ignore[index]
