"""The tracking measurement: its truth, its counting, and that trackers which are wrong come out as wrong."""

import importlib.util
import json

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mujoco") is None or importlib.util.find_spec("cv2") is None,
    reason="MuJoCo or OpenCV is not installed",
)
SEED = 500_000


@pytest.fixture(scope="module")
def steps():
    from benchmarks.tracking.moving_points import sequence

    return list(sequence("both", SEED, 1.3, 320, 240))


def test_truth_agrees_with_what_is_rendered(steps):
    assert len(steps) == 39 and len(steps[0].meant) >= 1
    for step in steps[::12]:
        for thing in step.meant:
            uv, p_camera = step.place(thing, thing.meant_m)
            if step.sees(thing, thing.meant_m):
                assert step.on_object(thing, uv)
                assert step.depth_at(uv) == pytest.approx(p_camera[2], abs=0.006)
            np.testing.assert_allclose(step.intrinsics.deproject(uv, p_camera[2]), p_camera, atol=1e-9)
            assert not step.on_object(thing, uv + 400.0)


def test_the_unkind_camera_sees_the_same_scene_with_more_holes(steps):
    from benchmarks.tracking.moving_points import sequence

    unkind = next(sequence("both", SEED, 0.05, 320, 240, simulator="unkind"))
    assert np.array_equal(unkind.frame.color, steps[0].frame.color)
    assert np.isnan(unkind.frame.depth_m).mean() > np.isnan(steps[0].frame.depth_m).mean()


def test_what_is_off_the_object_is_told(steps):
    step = steps[0]
    for thing in step.meant:
        uv, _ = step.place(thing, thing.meant_m)
        shown = [step.on_object(thing, uv + np.array([du, dv])) for du in range(-60, 61, 20) for dv in range(-60, 61, 20)]
        assert not all(shown)


def test_answers_err_by_two_pixels(steps):
    from benchmarks.tracking.moving_points import answer

    rng, errors = np.random.default_rng(0), []
    for _ in range(40):
        for point in answer(steps[0], rng, first=False).points:
            thing = steps[0].meant[int(point.label.split()[-1])]
            errors.append(point.uv - steps[0].place(thing, thing.meant_m)[0] - thing.bias_px)
    assert np.std(errors) == pytest.approx(np.sqrt(2.0), rel=0.25)


def test_the_truth_scores_perfectly_and_a_shifted_one_does_not(steps):
    from benchmarks.tracking.benchmark import Score, _judge, figures
    from benchmarks.tracking.peers import Claim

    def scored(shift_px, shift_m):
        score = Score()
        for step in steps:
            claims = {}
            for index, thing in enumerate(step.meant):
                uv, p_camera = step.place(thing, thing.meant_m)
                claims[f"point {index}"] = Claim(
                    uv + np.array([shift_px, 0.0]), p_camera + np.array([0.0, 0.0, shift_m]), 1e-6 * np.eye(3)
                )
            _judge(score, step, claims, True)
        return figures(score)

    right, wrong = scored(0.0, 0.0), scored(80.0, 0.03)
    assert right["error_mm_95"] == pytest.approx(0.0, abs=1e-6) and right["coverage"]["95 %"] == 1.0
    assert right["answered_when_visible"] == 1.0 and right["gross_share"] == 0.0
    assert wrong["error_px_median"] == pytest.approx(80.0) and wrong["error_mm_median"] == pytest.approx(30.0)
    assert wrong["gross_share"] == 1.0 and wrong["coverage"]["95 %"] == 0.0 and wrong["wrong_object_share"] > 0.5


def test_a_sequence_runs_through_all_contestants(steps):
    from benchmarks.tracking.benchmark import CONTESTANTS, KINDS, Results, Score, run_sequence, summary, table

    results = Results({name: {kind: Score() for kind in KINDS} for name in CONTESTANTS})
    run_sequence(iter(steps), "both", np.random.default_rng(0), results)
    data = summary(results)
    json.dumps(data, allow_nan=False)
    ours, held = data["all"]["molmo_point"], data["all"]["held in 3D"]
    assert data["sequences"] == 1 and ours["frames_visible"] == held["frames_visible"] > 0
    assert ours["error_mm_median"] < held["error_mm_median"], "objects moved for a second while the model thought"
    lines = table(data).splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert any(line.startswith("| one point, LK") for line in lines)


def test_speed_is_measured_with_every_point_tracked(monkeypatch):
    from benchmarks.tracking import speed as tracking_speed

    monkeypatch.setattr(tracking_speed, "SIZES", ((320, 240),))
    monkeypatch.setattr(tracking_speed, "POINTS", (1, 4))
    rows = tracking_speed.measure_speed(6)
    assert [row["points"] for row in rows] == [1, 4] == [row["tracked_at_the_end"] for row in rows]
    assert all(0 < row["frame_ms_median"] <= row["frame_ms_95"] for row in rows)
