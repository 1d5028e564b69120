"""Trials of labeled points: their draws repeat, their outcomes are counted, the kind follows from the depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from molmo_point.evaluation.real.labeled_frames import LabeledFrame, SurfaceKind, read_labeled_frame
from molmo_point.evaluation.real.lift_trials import drawn_points, kind_by_depth, off_interval_m, tolerance_m, try_lift
from tests.evaluation.real.labeled_box import write_labeled_box


@pytest.fixture
def labeled(tmp_path: Path) -> LabeledFrame:
    return read_labeled_frame(write_labeled_box(tmp_path / "one"))


def test_draws_depend_on_seed_and_names_only(labeled: LabeledFrame) -> None:
    box, table = labeled.points[:2]
    drawn = drawn_points(labeled, box, 200, 3)
    np.testing.assert_array_equal(drawn, drawn_points(labeled, box, 200, 3))
    assert not np.allclose(drawn, drawn_points(labeled, box, 200, 4))
    assert not np.allclose(drawn - [box.u, box.v], drawn_points(labeled, table, 200, 3) - [table.u, table.v])
    assert np.std(drawn, axis=0) == pytest.approx(3.0, rel=0.2) and np.mean(drawn, axis=0) == pytest.approx([160, 120], abs=0.7)


def test_the_surface_around_a_point_tells_plain_from_edge(labeled: LabeledFrame) -> None:
    kinds = [kind_by_depth(labeled, point) for point in labeled.points]
    plain, edge = SurfaceKind.PLAIN, SurfaceKind.EDGE
    assert kinds == [plain, plain, edge, edge, plain]


def test_right_positions_are_neither_gross_nor_refused_and_fit_their_covariance(labeled: LabeledFrame) -> None:
    trial = try_lift(labeled, labeled.points[0], draws=30)
    assert (trial.refused, trial.told, trial.silent) == (0, 0, 0) and trial.statuses == {"OK": 30}
    assert len(trial.mahalanobis2) == len(trial.lift_ms) == 30 and 1.0 < np.mean(trial.mahalanobis2) < 5.0


def test_a_wrong_surface_is_gross_told_or_silent(labeled: LabeledFrame) -> None:
    # The label says 0.4 m, so every answer is 0.1 or 0.2 m off.
    box = replace(labeled.points[0], z_m=(0.39, 0.41))
    edge = replace(labeled.points[2], z_m=(0.39, 0.41))
    on_box, on_edge = try_lift(labeled, box, draws=20), try_lift(labeled, edge, draws=20)
    assert (on_box.silent, on_box.told) == (20, 0) and on_box.off_m == pytest.approx(0.09, abs=0.002)
    assert on_edge.silent + on_edge.told == 20 and on_edge.told == on_edge.ambiguous > 10
    assert not on_box.mahalanobis2


def test_a_point_without_a_label_counts_refusals_only(labeled: LabeledFrame) -> None:
    trial = try_lift(labeled, labeled.points[4], draws=5)
    assert not trial.known and (trial.told, trial.silent, trial.refused) == (0, 0, 0)


def test_the_tolerance_is_10_mm_or_one_percent(labeled: LabeledFrame) -> None:
    box = labeled.points[0]
    assert tolerance_m(box) == 0.010 and tolerance_m(replace(box, z_m=(1.9, 2.0))) == 0.02
    interval = replace(box, z_m=(0.5, 0.6))
    assert [off_interval_m(depth_m, interval) for depth_m in (0.45, 0.5, 0.55, 0.62)] == pytest.approx([0.05, 0.0, 0.0, 0.02])
