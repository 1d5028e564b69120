"""Curves of a run and tiles of cases: what is drawn follows from what is given."""

import numpy as np
from PIL import Image

from lab.evaluation.case_grid import Case, case_grid
from molmo_point.viz import training_chart as chart
from molmo_point.viz.training_chart import Curve, training_chart


def test_a_panel_for_what_was_logged() -> None:
    rows = [{"images": 1200.0 * k, "token": 2.0 / k, "see_noun": 0.1 * k} for k in range(1, 30)]
    two = training_chart(rows)
    three = training_chart([row | {"name": 0.5, "relation": float("nan")} for row in rows])
    assert three.height > two.height > training_chart([]).height
    falling = training_chart([row | {"token": 0.0} for row in rows])
    assert np.asarray(falling).tobytes() != np.asarray(two).tobytes()


def test_every_kind_of_question_has_its_own_colour_and_panels_share_their_x_axis() -> None:
    kinds = ("colour_name", "name", "category", "relation", "superlative", "count", "absent")
    lines = [Curve(kind, [(0, 0)], ours=kind == "colour_name") for kind in kinds]
    assert len(set(chart._colors(lines))) == len(kinds)
    rows = [{"images": float(k), "token": 1.0} for k in range(1000, 11_000, 1000)]
    late = np.asarray(training_chart([*rows[:-1], rows[-1] | {"name": 0.5}]))
    # The only answer was given at the end of the run, so its point is in the right half of its panel.
    blue = (late[560:] == chart.OTHERS[0]).all(-1)
    assert blue.any() and np.nonzero(blue)[1].min() > 750


def test_a_tile_shows_target_answer_and_verdict() -> None:
    color = np.full((240, 320, 3), 100, np.uint8)
    wanted = np.zeros((240, 320), bool)
    wanted[50:90, 200:260] = True
    right, wrong = (np.asarray(case_grid([Case(color, wanted, [(40.0, 120.0)], "name: mug", ok)], 1)) for ok in (True, False))
    assert right.shape == (270, 320, 3)
    assert tuple(right[30 + 120, 40]) != tuple(wrong[30 + 120, 40])
    assert tuple(right[30 + 50, 230]) == (255, 230, 60) == tuple(right[30 + 70, 200])
    assert tuple(right[30 + 70, 230]) == (100, 100, 100)
    picture = case_grid([Case(color, wanted, [], "a", True)] * 7, 3)
    assert isinstance(picture, Image.Image) and picture.size == (960, 3 * 270)
