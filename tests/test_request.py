"""A request is checked once, when it is made."""

import math
from typing import Any

import numpy as np
import pytest

from molmo_point import Pointer, PointRequest
from molmo_point.errors import InputError
from molmo_point.request import Kind, Surface

from .scripted_backend import FRAME, TWO, Scripted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("words", ""), ("words", "a\nb"), ("words", "x" * 1001), ("words", None), ("max_points", 0), ("max_points", True),
        ("max_points", 1.5), ("time_budget_s", 0), ("time_budget_s", math.nan), ("time_budget_s", "1"),
        ("reference_depth_m", -1.0), ("reference_depth_m", math.inf), ("prefer", "behind"),
    ],
)  # fmt: skip
def test_impossible_values_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        PointRequest(**{"words": "the mug", field: value})
    assert caught.value.what.startswith("query" if field == "words" else field)
    assert caught.value.given and caught.value.fix


def test_values_are_normalized() -> None:
    request = PointRequest("  the mug ", "count", prefer="centre")  # type: ignore[arg-type]
    assert (request.words, request.kind, request.prefer) == ("the mug", Kind.COUNT, Surface.CENTER)


def test_a_request_answers_as_its_keywords_do() -> None:
    backend = Scripted(TWO)
    by_request = Pointer(backend).point(FRAME, PointRequest("mugs", max_points=1, labels=False))
    by_keywords = Pointer(backend).point(FRAME, "mugs", max_points=1, labels=False)
    assert by_request.points == by_keywords.points
    assert len(by_request) == 1
    assert backend.calls[0]["max_new_tokens"] == backend.calls[1]["max_new_tokens"]


def test_a_request_takes_no_further_settings() -> None:
    with pytest.raises(InputError, match="part of the request") as caught:
        Pointer(Scripted(TWO)).point(FRAME, PointRequest("mugs"), max_points=3)
    assert "max_points" in caught.value.given


def test_counting_a_request_asks_for_a_count() -> None:
    backend = Scripted(TWO)
    Pointer(backend).count(np.zeros((4, 4, 3), np.uint8), PointRequest("mugs"))
    assert "How many mugs" in backend.calls[0]["prompt"]


def test_several_queries_look_at_the_whole_image() -> None:
    with pytest.raises(InputError, match="near"):
        Pointer(Scripted(TWO)).point_many(FRAME, [PointRequest("mug", near=(3.0, 4.0))])
