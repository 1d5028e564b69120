"""Moving tables: the same seed moves the same way, and things move as their kind says."""

import importlib.util

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="MuJoCo is not installed")


def scene(kind, seed=3):
    from benchmarks.tracking.moving_scene import MovingScene

    return MovingScene(kind, seed, 160, 120)


def views(kind, times):
    with scene(kind) as table:
        shown = []
        for time_s in times:
            table.show(time_s)
            shown.append((*table.render(), table.render_masks(), table.base_T_camera.translation_m))
        return table, shown


def test_one_seed_gives_one_sequence():
    (_, first), (_, second) = views("both", [0.4]), views("both", [0.0, 0.4])
    np.testing.assert_array_equal(first[0][0], second[1][0])
    np.testing.assert_array_equal(first[0][1], second[1][1])


def test_objects_move_by_their_rate_and_the_camera_stays():
    from benchmarks.tracking.moving_scene import pose_at

    table, shown = views("object", [0.0, 1.0])
    np.testing.assert_array_equal(shown[0][3], shown[1][3])
    assert np.any(shown[0][2] != shown[1][2])
    item, rate = table.objects[0], table.course.object_rate[0]
    assert 0.03 <= np.hypot(*rate[:2]) <= 0.08
    position, yaw = pose_at(item, rate, 2.0)
    np.testing.assert_allclose(position - item.position_base_m, [2 * rate[0], 2 * rate[1], 0.0])
    assert yaw - item.yaw_rad == pytest.approx(2 * rate[2])


def test_the_camera_moves_at_its_speed():
    table, shown = views("camera", [0.0, 1.0])
    assert np.linalg.norm(shown[1][3] - shown[0][3]) == pytest.approx(np.linalg.norm(table.course.camera_rate))
    assert 0.04 <= np.linalg.norm(table.course.camera_rate) <= 0.15
    assert all(rate == (0.0, 0.0, 0.0) for rate in table.course.object_rate)


def test_something_nearer_passes_and_is_gone_again():
    with scene("occluder") as table:
        near = []
        for time_s in (0.0, table.course.passing_s, 3.4):
            table.show(time_s)
            u, v = table.intrinsics.project(table.base_T_camera.inverse().apply(np.zeros(3), "base")).round().astype(int)
            near.append(float(table.render()[1][v, u]))
    assert near[1] < 0.75 * near[0] and near[2] == pytest.approx(near[0], abs=1e-4)


def test_light_swings():
    _, shown = views("light", [0.0, 0.7])
    assert shown[1][0].mean() > 1.05 * shown[0][0].mean()
