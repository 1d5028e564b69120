"""Curves of a run and tiles of cases: what is drawn follows from what is given."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.evaluation.case_grid import Case, case_grid
from molmo_point.viz.training_chart import draw_curves, training_chart


def test_a_panel_for_what_was_logged() -> None:
    rows = [{"images": 1200.0 * k, "token": 2.0 / k, "see_noun": 0.1 * k} for k in range(1, 30)]
    assert [len(axes.lines) for axes in training_chart(rows).axes] == [1, 1]
    last = rows[-1] | {"name": 0.5, "relation": float("nan")}
    losses, seeing, answers = training_chart([*rows[:-1], last]).axes
    assert seeing.lines[0].get_ydata()[-1] == pytest.approx(290)
    # A single answer at the end of the run stands at the right end of an axis that all panels share.
    (line,) = answers.lines
    assert (line.get_label(), line.get_xdata()[0], line.get_ydata()[0]) == ("name", 1200 * 29, 50)
    assert losses.get_xlim() == answers.get_xlim() == (0, 1200 * 29)
    assert len(training_chart([]).axes) == 1


def test_a_log_becomes_a_picture_and_text_and_gaps_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("images,stage,token,points_f1\n2,caption,0.5,\n4,point,0.25,0.5\n")
    draw_curves(tmp_path)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 1000 and picture.height > 800
    assert not (tmp_path / "curves.part.png").exists()


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
