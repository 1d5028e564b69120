"""Pointing while the model still writes: points as they come, and every reason to stop it."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pytest

from molmo_point.backend import Growth, Limits, Prompt
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
    assert "first 1 are kept" in pointing.problems[-1]
    assert pointing.text == TWO[: TWO.index('" alt')], "the model went on after the point that is one too many"
    assert not pointing.truncated
    few = backend.calls[0]["max_new_tokens"]
    Pointer(backend).point(FRAME, "mugs", max_points=10)
    assert backend.calls[1]["max_new_tokens"] - few == 9 * 20
    seen: list[tuple[ImagePoint, ...]] = []
    Pointer(backend).point(FRAME, "mugs", max_points=1, on_points=seen.append)
    assert [len(points) for points in seen] == [1]


@pytest.mark.parametrize("text", [MUG, TWO])
def test_without_labels_the_model_stops_behind_the_coordinates(text: str) -> None:
    whole = Pointer(Scripted(text)).point(FRAME, "mug")
    pointing = Pointer(Scripted(text)).point(FRAME, "mug", labels=False)
    assert "alt=" not in pointing.text
    assert len(pointing.text) <= text.index(" alt") + 4
    assert [(point.u, point.v) for point in pointing.points] == [(point.u, point.v) for point in whole.points]
    assert {point.label for point in pointing.points} == {"mug"}
    assert (pointing.problems, pointing.truncated) == ((), False)


def test_without_labels_the_last_wanted_point_is_the_end() -> None:
    pointing = Pointer(Scripted(TWO)).point(FRAME, "mugs", labels=False, max_points=1)
    assert pointing.text == TWO[: TWO.index('" x2')]
    assert len(pointing.points) == 1


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
    assert "alt" not in two.text.removesuffix(" alt")


@pytest.mark.parametrize(("text", "reason"), [(MUG[:-3], "stop"), (MUG, "length")])
def test_truncation_is_reported(text: str, reason: str) -> None:
    pointing = Pointer(Scripted(text, reason)).point(FRAME, "mug")
    assert pointing.truncated
    assert len(pointing.points) == 1
