"""The evaluation against a model that knows the truth, one that is off, and one that always points."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from molmo_point.backend import WholeAnswerBackend
from molmo_point.evaluation.tabletop import FIRST_SEED, evaluate, nameable, sigma_px, summary, table
from molmo_point.pointer import Pointer
from molmo_point.points.dialects.written import format_points
from molmo_point.request import Kind
from molmo_point.results import Completion
from molmo_point.sim.rendered_scene import VisibleObject
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.trust.training_description import TrainingDescription

SCENES = 3


def digest(image: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


class Oracle(WholeAnswerBackend):
    """Knows every scene of the evaluation by its picture, and answers with the truth, shifted."""

    name = "oracle"
    sigma_px = 1.0

    def __init__(self, shift_px: float = 0.0, never_absent: bool = False, miscount: int = 0) -> None:
        self.shift_px, self.never_absent, self.miscount = shift_px, never_absent, miscount
        self.seen: dict[str, list[VisibleObject]] = {}
        for seed in range(FIRST_SEED, FIRST_SEED + SCENES):
            with TabletopScene.random(seed) as scene:
                self.seen[digest(scene.render_color())] = scene.visible_objects()

    def answer(self, image, prompt, limits) -> Completion:
        counting = prompt.text.startswith("How many")
        things = [
            thing
            for thing in self.seen[digest(image)]
            if (f"{thing.item.shape}s" in prompt.text if counting else prompt.text.endswith(thing.item.name))
        ]
        size = np.array([image.shape[1], image.shape[0]])
        percent = [tuple((thing.uv + self.shift_px + 0.5) / size * 100) for thing in things]
        if not percent and self.never_absent:
            percent = [(50.0, 50.0)]
        percent += [(10.0 + k, 10.0) for k in range(self.miscount)] if counting else []
        text = format_points(np.clip(percent, 0, 100).tolist() if percent else [], "thing", "pointing")
        return Completion(text=f" {text}", token_count=1, finish_reason="stop")


@pytest.fixture(scope="module")
def measured() -> Callable[..., dict[str, Any]]:
    def run(**options: Any) -> dict[str, Any]:
        return summary(evaluate(Pointer(Oracle(**options)), range(FIRST_SEED, FIRST_SEED + SCENES)))

    return run


def test_the_truth_scores_full_marks(measured: Callable[..., dict[str, Any]]) -> None:
    figures = measured()
    for name in ("point_in_mask", "count_exact", "count_within_one", "absent_recognised"):
        assert figures[name]["share"] == 1.0, name
        assert figures[name]["trials"] > 0, name
    # One decimal of a per cent is 0.64 px, so the rounding alone is up to 0.3 px an axis.
    assert figures["pixel_error_95"] < 0.6
    assert figures["error_mm_median"] < 3.0


def test_a_model_that_was_not_trained_to_count_is_not_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Oracle, "training", TrainingDescription(abilities=frozenset({Kind.POINT})))
    tally = evaluate(Pointer(Oracle()), range(FIRST_SEED, FIRST_SEED + 1))
    assert tally.count_error == [] and tally.hit
    assert all(tally.cautioned) and len(tally.cautioned) == len(tally.hit) + 1, "a model without a calibration"


def test_points_beside_the_things_are_misses(measured: Callable[..., dict[str, Any]]) -> None:
    figures = measured(shift_px=90.0)
    assert figures["point_in_mask"]["share"] < 0.3
    assert figures["pixel_error_median"] > 60


def test_pointing_at_what_is_not_there_is_noticed(measured: Callable[..., dict[str, Any]]) -> None:
    assert measured(never_absent=True)["absent_recognised"]["share"] == 0.0


def test_one_too_many_is_close_but_not_exact(measured: Callable[..., dict[str, Any]]) -> None:
    figures = measured(miscount=1)
    assert figures["count_exact"]["share"] == 0.0
    assert figures["count_within_one"]["share"] == 1.0


def test_sigma_is_that_of_one_axis_and_leaves_gross_misses_out() -> None:
    rng = np.random.default_rng(0)
    offsets = [tuple(o) for o in rng.normal(0, 3.0, (4000, 2))]
    assert sigma_px(offsets) == pytest.approx(3.0, rel=0.05)
    assert sigma_px([*offsets, (300.0, 0.0)]) == pytest.approx(3.0, rel=0.05)
    assert np.isnan(sigma_px([]))


def test_only_unique_names_are_asked_for() -> None:
    with TabletopScene.random(FIRST_SEED) as scene:
        seen = scene.visible_objects()
    assert len(nameable([*seen, seen[0]])) == len(nameable(seen)) - 1


def test_table_shows_shares_with_intervals(measured: Callable[..., dict[str, Any]]) -> None:
    text = table(measured())
    assert "| point in mask | 100.0 % |" in text
    assert text.count("\n") > 8
