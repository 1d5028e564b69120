"""The transform tree in time, against compositions worked out by hand."""

import math

import numpy as np
import pytest

tf_buffer = pytest.importorskip(
    "molmo_point_ros.inputs.tf_buffer", reason="run through ros2_ws/run, which puts the package on the path", exc_type=ImportError
)
from molmo_point.errors import FrameError  # noqa: E402
from molmo_point.geometry.transforms import Transform  # noqa: E402

S = 1_000_000_000


def turned(parent, child, angle_rad, xyz):
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return Transform(parent, child, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array(xyz, float))


@pytest.fixture
def buffer():
    """base <- wrist (moving: 1 m/s along x and 90 degrees in 1 s) <- camera (static), base <- table (static)."""
    made = tf_buffer.TransformBuffer(cache_s=10.0)
    made.add(turned("base", "wrist", 0.0, (0, 0, 0)), 10 * S)
    made.add(turned("base", "wrist", math.pi / 2, (1, 0, 0)), 11 * S)
    made.add(turned("wrist", "camera", 0.0, (0, 0, 0.1)), 0, static=True)
    made.add(turned("base", "table", 0.0, (0, 0, -1)), 0, static=True)
    return made


def test_a_moving_edge_is_interpolated_in_position_and_turn(buffer):
    found = buffer.lookup("base", "wrist", 10 * S + S // 4)
    assert found.target == "base" and found.source == "wrist"
    np.testing.assert_allclose(found.translation_m, [0.25, 0, 0], atol=1e-9)
    np.testing.assert_allclose(found.matrix, turned("base", "wrist", math.pi / 8, (0.25, 0, 0)).matrix, atol=1e-9)


def test_a_chain_through_the_common_ancestor(buffer):
    found = buffer.lookup("table", "camera", 11 * S)
    np.testing.assert_allclose(found.matrix, turned("table", "camera", math.pi / 2, (1, 0, 1.1)).matrix, atol=1e-9)
    back = buffer.lookup("camera", "table", 11 * S)
    np.testing.assert_allclose((found @ back).matrix, np.eye(4), atol=1e-9)


def test_a_static_chain_holds_at_all_times_and_a_frame_is_itself(buffer):
    np.testing.assert_allclose(buffer.lookup("wrist", "camera", 999 * S).translation_m, [0, 0, 0.1])
    np.testing.assert_allclose(buffer.lookup("camera", "camera", 999 * S).matrix, np.eye(4))


def test_the_future_may_still_come_and_the_past_is_gone(buffer):
    with pytest.raises(tf_buffer.NotYetKnownError, match=r"500\.0 ms older"):
        buffer.lookup("base", "camera", 11 * S + S // 2)
    with pytest.raises(FrameError, match=r"1000\.0 ms younger") as caught:
        buffer.lookup("base", "camera", 9 * S)
    assert not isinstance(caught.value, tf_buffer.NotYetKnownError)


def test_newest_needs_no_stamp(buffer):
    np.testing.assert_allclose(buffer.lookup("base", "wrist", None).translation_m, [1, 0, 0])


def test_an_unknown_frame_lists_the_known_ones(buffer):
    with pytest.raises(tf_buffer.NotYetKnownError, match="base, camera, table, wrist"):
        buffer.lookup("gripper", "camera", 11 * S)
    with pytest.raises(tf_buffer.NotYetKnownError, match="nothing was published"):
        tf_buffer.TransformBuffer().lookup("base", "camera", S)


def test_two_trees_are_not_connected(buffer):
    buffer.add(turned("map", "cart", 0.0, (0, 0, 0)), 11 * S, static=True)
    with pytest.raises(FrameError, match="not connected"):
        buffer.lookup("base", "cart", 11 * S)


def test_what_is_old_is_forgotten_and_time_set_back_starts_anew(buffer):
    for second in range(12, 40):
        buffer.add(turned("base", "wrist", 0.0, (second, 0, 0)), second * S)
    with pytest.raises(FrameError, match="no longer known"):
        buffer.lookup("base", "wrist", 11 * S)
    buffer.add(turned("base", "wrist", 0.0, (7, 0, 0)), 2 * S)
    np.testing.assert_allclose(buffer.lookup("base", "wrist", None).translation_m, [7, 0, 0])


def test_late_transforms_find_their_place(buffer):
    buffer.add(turned("base", "wrist", 0.0, (5, 0, 0)), 10 * S + S // 2)
    np.testing.assert_allclose(buffer.lookup("base", "wrist", 10 * S + S // 2).translation_m, [5, 0, 0])


def test_a_loop_of_frames_ends(buffer):
    loop = tf_buffer.TransformBuffer()
    loop.add(turned("a", "b", 0.0, (0, 0, 0)), S, static=True)
    loop.add(turned("b", "a", 0.0, (0, 0, 0)), S, static=True)
    loop.add(turned("c", "d", 0.0, (0, 0, 0)), S, static=True)
    with pytest.raises(FrameError):
        loop.lookup("a", "d", S)


def test_the_age_of_a_path_is_that_of_its_oldest_moving_edge():
    buffer = tf_buffer.TransformBuffer()
    place = np.array([0.1, 0.0, 0.0])
    buffer.add(Transform("base", "arm", np.eye(3), place), 5_000)
    buffer.add(Transform("base", "arm", np.eye(3), place), 7_000)
    buffer.add(Transform("arm", "wrist", np.eye(3), place), 6_000)
    buffer.add(Transform("wrist", "camera", np.eye(3), place), 1, static=True)
    assert buffer.newest_ns("base", "camera") == 6_000
    assert buffer.newest_ns("camera", "base") == 6_000
    assert buffer.newest_ns("base", "arm") == 7_000
    assert buffer.newest_ns("wrist", "camera") is None, "a static transform has no age"
    assert buffer.newest_ns("base", "nowhere") is None
