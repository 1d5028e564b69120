"""The lifting benchmark: its scenes against their own truth, its figures by hand, its command."""

import math

import numpy as np
import pytest

from benchmarks.lift.benchmark import OURS, Answer, LiftRun, run_benchmark
from benchmarks.lift.peers import PEERS
from benchmarks.lift.report import figures, summary, tables
from benchmarks.lift.scenes import KINDS, make_scene
from benchmarks.lift.shapes import Box, Plane, Rod, Sphere, render
from molmo_point.errors import InputError


def rays(count: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform(-0.5, 0.5, (count, 2)), np.ones((count, 1))], axis=1)


def turned() -> np.ndarray:
    c, s = np.cos(0.6), np.sin(0.6)
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])


SHAPES = (
    Plane(np.array([0.6, 0.0, 0.8]), 0.5),
    Sphere(np.array([0.05, -0.02, 0.7]), 0.2),
    Rod(np.array([0.0, 0.05, 0.8]), np.array([0.6, 0.0, 0.8]), 0.1, 0.3),
    Box(np.array([0.0, 0.0, 0.9]), turned(), np.array([0.1, 0.2, 0.3])),
)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_hit_lies_on_the_surface_and_nothing_nearer_does(shape) -> None:
    z = shape.depth(rays())
    hit = np.isfinite(z)
    assert hit.sum() > 50
    points = rays()[hit] * z[hit, None]
    np.testing.assert_allclose(shape.distance(points), 0, atol=1e-9)
    # Before the hit the ray comes closer without touching: its distance is never zero.
    for share in (0.2, 0.6, 0.9, 0.99):
        assert (shape.distance(points * share) > 0).all()


def test_distances_by_hand() -> None:
    box = Box(np.zeros(3), np.eye(3), np.array([1.0, 2.0, 3.0]))
    places = np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, 1.9, 0.0], [4.0, 6.0, 3.0]])
    np.testing.assert_allclose(box.distance(places), [1.0, 1.0, 0.1, 5.0])
    rod = Rod(np.zeros(3), np.array([0.0, 0.0, 1.0]), 1.0, 2.0)
    np.testing.assert_allclose(rod.distance(np.array([[3.0, 0.0, 0.0], [1.0, 0.0, 6.0], [4.0, 0.0, 6.0]])), [2.0, 4.0, 5.0])


def test_the_nearest_shape_is_seen() -> None:
    depth, index = render(list(SHAPES), rays().reshape(40, 50, 3))
    every = np.stack([shape.depth(rays().reshape(40, 50, 3)) for shape in SHAPES])
    np.testing.assert_array_equal(depth, every.min(axis=0))
    np.testing.assert_array_equal(index, every.argmin(axis=0))


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_and_their_truth(kind: str) -> None:
    scene, again = make_scene(kind, 5), make_scene(kind, 5)
    np.testing.assert_array_equal(scene.frame.depth_m, again.frame.depth_m)
    np.testing.assert_array_equal(scene.uv, again.uv)
    np.testing.assert_allclose(scene.target.distance(scene.points_m), 0, atol=1e-9)
    np.testing.assert_allclose(scene.frame.intrinsics.project(scene.points_m), scene.uv, atol=1e-6)
    rows, columns = np.rint(scene.uv[:, ::-1]).astype(int).T
    assert scene.on_target[rows, columns].mean() >= 0.75
    on_target = scene.frame.depth_m[scene.on_target]
    if kind == "transparent":
        assert np.isnan(on_target).mean() > 0.85
        assert not scene.measurable.any()
    else:
        off = np.abs(scene.frame.depth_m - scene.true_depth_m)[scene.on_target]
        assert np.nanmedian(off) < 0.01
    if kind == "rod":
        assert scene.true_depth_m[scene.on_target].min() == pytest.approx(0.6, abs=0.08)
        assert scene.measurable.all()


@pytest.mark.parametrize("kind", ["rod, 30 % holes", "transparent"])
def test_unkind_scenes_have_more_holes_and_say_their_noise(kind: str) -> None:
    kind_scene, unkind, again = (make_scene(kind, 5, simulator=name) for name in ("kind", "unkind", "unkind"))
    assert np.array_equal(unkind.frame.depth_m, again.frame.depth_m, equal_nan=True)
    assert np.array_equal(unkind.true_depth_m, kind_scene.true_depth_m, equal_nan=True)
    assert not np.array_equal(unkind.frame.depth_m, kind_scene.frame.depth_m, equal_nan=True)
    assert unkind.frame.depth_noise.correlation_px > kind_scene.frame.depth_noise.correlation_px


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="simulator"):
        make_scene("rod", 0, simulator="cruel")
    with pytest.raises(InputError, match="kind"):
        make_scene("sponge", 0)


def test_peers_by_hand() -> None:
    depth = np.full((30, 30), 2.0, np.float32)
    depth[:, 12:18] = 1.0
    depth[15, 15] = np.nan
    answers = {name: estimate(depth, 15, 15) for name, estimate in PEERS.items()}
    assert math.isnan(answers.pop("single pixel"))
    assert answers == {
        "pixel, else median 5x5": 1.0,
        "median 11x11": 1.0,
        "median 21x21": 2.0,
        "25th percentile 11x11": 1.0,
    }
    assert PEERS["single pixel"](depth, 13, 2) == 1.0
    assert PEERS["median 11x11"](depth, 20, 15) == 2.0


def answer(error_mm: float, *, off_mm: float = 0.0, measurable: bool = True, mahalanobis2: float = math.nan, ambiguous=False):
    return Answer("rod", "D435", 3.0, OURS, measurable, error_mm, off_mm, ambiguous, mahalanobis2, 100.0)


def test_figures_by_hand() -> None:
    told = figures(
        [
            answer(1.0, mahalanobis2=1.0),
            answer(3.0, mahalanobis2=5.0),
            answer(2.0, mahalanobis2=9.0),
            answer(200.0, off_mm=190.0, mahalanobis2=999.0, ambiguous=True),
            answer(300.0, off_mm=21.0, mahalanobis2=999.0, measurable=False),
            answer(math.nan, off_mm=math.nan),
            answer(math.nan, off_mm=math.nan, measurable=False),
            answer(math.nan, off_mm=math.nan, measurable=False),
        ]
    )
    assert (told["asked"], told["error_mm_median"]) == (8, 3.0)
    assert told["gross"]["share"] == 2 / 5
    assert told["gross_unannounced"]["share"] == 1 / 5
    assert told["refused_wrongly"]["share"] == 1 / 5
    assert told["refused_rightly"]["share"] == 2 / 3
    assert told["coverage"] == {"within_68": 1 / 5, "within_95": 2 / 5, "trials": 5}
    assert told["coverage_measured"] == {"within_68": 1 / 4, "within_95": 2 / 4, "trials": 4}
    assert told["coverage_right_surface"] == {"within_68": 1 / 3, "within_95": 2 / 3, "trials": 3}
    assert math.isnan(figures([])["gross"]["share"])


def test_a_short_run_is_repeatable_and_beats_the_peers_on_rods() -> None:
    run, again = (run_benchmark(24, kinds=("rod",), sigmas_px=(3.0,)) for _ in range(2))
    drop_time = [[(a.estimator, a.error_mm, a.mahalanobis2) for a in each.answers] for each in (run, again)]
    np.testing.assert_equal(drop_time[0], drop_time[1])
    told = summary(run)
    assert told["points"] == 96
    ours = told["estimators"][OURS]["all"]
    assert ours["gross"]["share"] <= 0.05
    assert ours["refused_wrongly"]["share"] <= 0.03
    assert ours["coverage_measured"]["within_95"] > 0.85
    for name in ("single pixel", "pixel, else median 5x5", "median 21x21"):
        assert told["estimators"][name]["all"]["gross"]["share"] > ours["gross"]["share"] + 0.03
    assert f"| {OURS} |" in tables(told)


def test_no_answers_are_no_figures() -> None:
    told = summary(LiftRun([answer(math.nan, off_mm=math.nan)], 1, (OURS,)))
    assert "–" in tables(told)
