"""Pointing while the model still writes: points as they come, and every reason to stop it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from molmo_point.backend import Growth, Limits, Prompt
from molmo_point.cautions import CautionKind
from molmo_point.errors import CancelledError, InputError
from molmo_point.pointer import Pointer
from molmo_point.results import Completion, ImagePoint

from .scripted_backend import FRAME, MUG, TWO, Scripted


def test_points_stream_as_they_complete() -> None:
    seen: list[tuple[ImagePoint, ...]] = []
    pointing = Pointer(Scripted(TWO)).point(FRAME, "mugs", on_points=seen.append)
    assert [len(points) for points in seen] == [1, 2]
    assert [point.u for point in seen[-1]] == [point.u for point in pointing.points]


def test_cancelled_between_tokens() -> None:
    asked = 0

    def after_ten() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    with pytest.raises(CancelledError, match="after 10 tokens") as caught:
        Pointer(Scripted(MUG)).point(FRAME, "mug", should_stop=after_ten)
    assert caught.value.fix
    with pytest.raises(CancelledError):
        Pointer(Scripted(MUG)).count(FRAME, "mug", should_stop=lambda: True)


def test_cancelled_before_the_model_is_asked() -> None:
    backend = Scripted(MUG)
    with pytest.raises(CancelledError):
        Pointer(backend).point(FRAME, "mug", should_stop=lambda: True)
    assert backend.calls == []


def test_max_points_bounds_points_and_text() -> None:
    backend = Scripted(TWO)
    pointing = Pointer(backend).point(FRAME, "mugs", max_points=1)
    assert [(point.u, point.label) for point in pointing.points] == [(31.5, "mugs")]
    assert pointing.problems[-1] == "2 points, of which the first is kept"
    assert pointing.text == TWO[: TWO.index(">mugs")], "the model went on after the label"
    assert not pointing.truncated
    few = backend.calls[0]["max_new_tokens"]
    Pointer(backend).point(FRAME, "mugs", max_points=10)
    assert backend.calls[1]["max_new_tokens"] - few == 9 * 20
    seen: list[tuple[ImagePoint, ...]] = []
    Pointer(backend).point(FRAME, "mugs", max_points=1, on_points=seen.append)
    assert [len(points) for points in seen] == [1]


@pytest.mark.parametrize("text", [MUG, TWO])
def test_without_labels_the_model_stops_at_the_end_of_its_first_label(text: str) -> None:
    whole = Pointer(Scripted(text)).point(FRAME, "mug")
    pointing = Pointer(Scripted(text)).point(FRAME, "mug", labels=False)
    assert pointing.text == text[: text.index(">mug")]
    assert [(point.u, point.v) for point in pointing.points] == [(point.u, point.v) for point in whole.points]
    assert [point.label for point in pointing.points] == [point.label for point in whole.points]
    assert (pointing.problems, pointing.truncated) == ((), False)


@pytest.mark.parametrize("text", [MUG, TWO])
@pytest.mark.parametrize("settings", [{}, {"labels": False}, {"labels": False, "max_points": 1}, {"max_points": 1}])
def test_an_answer_about_another_object_is_doubted_whatever_was_asked_for(text: str, settings: dict[str, Any]) -> None:
    kinds = [caution.kind for caution in Pointer(Scripted(text)).point(FRAME, "a person", **settings).cautions]
    assert kinds == [CautionKind.LABEL_DIFFERS, CautionKind.UNCALIBRATED]


class Foresighted(Scripted):
    """A model that tells the label that it would write, from its first character on."""

    label, whole = "mugs", True

    def answers(self, image: np.ndarray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        for growth in super().answers(image, prompts, limits):
            yield replace(growth, label=self.label, label_is_whole=self.whole)


def test_a_label_that_is_known_ahead_ends_the_answer_at_the_last_wanted_point() -> None:
    pointing = Pointer(Foresighted(TWO)).point(FRAME, "mugs", labels=False, max_points=1)
    assert pointing.text == TWO[: TWO.index('" x2')]
    assert [point.label for point in pointing.points] == ["mugs"]
    assert Pointer(Foresighted(TWO)).point(FRAME, "cup", labels=False, max_points=1).cautions[0].message == (
        "asked for 'cup', the model points at 'mugs'"
    )


def test_the_beginning_of_another_label_does_not_end_the_answer() -> None:
    backend = Foresighted(TWO)
    backend.label, backend.whole = " mu", False
    assert Pointer(backend).point(FRAME, "cup", labels=False, max_points=1).points[0].label == "mugs"
    cut = Foresighted(TWO[: TWO.index(" alt")], "length")
    cut.label, cut.whole = " mu", False
    pointing = Pointer(cut).point(FRAME, "cup", labels=False, max_points=1)
    assert ([point.label for point in pointing.points], pointing.truncated) == (["mu…"], False)
    assert pointing.cautions[0].kind is CautionKind.LABEL_DIFFERS


def test_a_time_budget_ends_the_answer_and_says_so() -> None:
    pointing = Pointer(Scripted(TWO)).point(FRAME, "mugs", time_budget_s=1e-9)
    assert pointing.truncated
    assert not pointing.points
    assert any("time budget" in problem for problem in pointing.problems)
    assert not Pointer(Scripted(TWO)).point(FRAME, "mugs", time_budget_s=60).truncated
    for bad in (0, -1, math.nan, "1", True):
        with pytest.raises(InputError, match="time_budget_s"):
            Pointer(Scripted(TWO)).point(FRAME, "mugs", time_budget_s=bad)  # type: ignore[arg-type]


def test_a_count_that_ran_out_of_time_is_not_consistent() -> None:
    assert not Pointer(Scripted(TWO)).count(FRAME, "mugs", time_budget_s=1e-9).consistent


def test_a_batch_goes_on_until_all_of_it_has_enough() -> None:
    class Batched(Scripted):
        batches = True

        def answers(self, image: np.ndarray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
            for end in range(1, len(TWO) + 1):
                for index, text in enumerate((MUG[:end], TWO[:end])):
                    yield Growth(index, text, end == len(TWO), partial(Completion, text, end, "stop"))

    two = Pointer(Batched("")).point_many(FRAME, ("a", "b"), labels=False)[1]
    assert len(two.points) == 2
    assert two.text == TWO[: TWO.index(">mugs")]


@pytest.mark.parametrize(("text", "reason"), [(MUG[:-3], "stop"), (MUG, "length")])
def test_truncation_is_reported(text: str, reason: str) -> None:
    pointing = Pointer(Scripted(text, reason)).point(FRAME, "mug")
    assert pointing.truncated
    assert len(pointing.points) == 1
