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
    made = tf_buffer.TransformBuffer()
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


class Robot:
    """A buffer with a clock that a test moves, and a robot: base <- wrist at 50 Hz, wrist <- camera static."""

    def __init__(self, **limits):
        self.now_ns, self.noted = 1_000 * S, []
        limits = tf_buffer.TransformLimits(**limits)
        self.buffer = tf_buffer.TransformBuffer(limits, lambda: self.now_ns, self.noted.append)
        self.buffer.add(turned("wrist", "camera", 0.0, (0, 0, 0.1)), 0, static=True)
        self.runs(2.0)

    def runs(self, seconds, x_m=0.5, moving=True, also=lambda robot: None):
        """Let time pass; `also` is called with every transform of the robot."""
        for _ in range(round(seconds * 50)):
            self.now_ns += S // 50
            if moving:
                self.buffer.add(turned("base", "wrist", 0.0, (x_m, 0, 0)), self.now_ns)
            also(self)

    def send(self, parent, child, xyz, *, static=False, ahead_s=0.0):
        self.buffer.add(turned(parent, child, 0.0, xyz), self.now_ns + round(ahead_s * S), static=static)

    def where(self):
        """Position of the camera in base at a capture time of 10 ms ago, as a list."""
        return self.buffer.lookup("base", "camera", self.now_ns - S // 100).translation_m.tolist()


TRUE = [0.5, 0, 0.1]


def test_no_interpolation_over_a_gap_wider_than_the_limit():
    robot = Robot()
    robot.send("base", "wrist", (9, 9, 9), ahead_s=8.0)
    for _ in range(3):
        robot.runs(1.0, moving=False)
        with pytest.raises(tf_buffer.NotYetKnownError, match=r"at most 1.2 s.*base_T_wrist.*tf_max_gap_s"):
            robot.where()
    robot.runs(0.1)
    assert robot.where() == TRUE
    loose = Robot(max_gap_s=20.0)
    loose.send("base", "wrist", (1.0, 0, 0), ahead_s=8.0)
    loose.runs(4.0, moving=False)
    assert loose.where()[0] == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("parent", "child", "static"),
    [
        ("camera", "base", False),
        ("camera", "base", True),
        ("wrist", "base", False),
        ("other", "camera", False),
        ("other", "wrist", False),
        ("other", "wrist", True),
        ("base", "wrist", True),
    ],
)
def test_an_edge_published_once_never_displaces_those_of_a_running_robot(parent, child, static):
    robot = Robot()
    robot.send(parent, child, (9, 9, 9), static=static)
    robot.runs(0.1)
    assert robot.where() == TRUE
    assert len(robot.noted) == 1 and repr(parent)[1:-1] in robot.noted[0] and child in robot.noted[0]
    robot.runs(25.0)
    assert robot.where() == TRUE and len(robot.noted) == 1


@pytest.mark.parametrize(
    ("parent", "child", "words"),
    [
        ("camera", "base", "-> base is a loop|-> camera is a loop|-> wrist is a loop"),
        ("other", "wrist", "'wrist' hangs below 'base' and 'other'"),
        ("other", "camera", "'camera' hangs below 'wrist' and 'other'"),
        ("wrist", "camera", "wrist_T_camera comes on /tf and on /tf_static"),
    ],
)
def test_an_edge_published_again_and_again_is_an_error_that_ends_with_it(parent, child, words):
    robot = Robot()
    robot.runs(3.0, also=lambda robot: robot.send(parent, child, (9, 9, 9)))
    with pytest.raises(tf_buffer.ContradictionError, match=words):
        robot.where()
    robot.runs(11.0)
    assert robot.where() == TRUE


def test_a_contradicted_edge_is_not_passed_by_on_its_inverse():
    robot = Robot()
    robot.runs(3.0, also=lambda robot: robot.send("wrist", "camera", (9, 9, 9)))
    robot.send("camera", "wrist", (5, 5, 5), static=True)
    for target, source in (("wrist", "camera"), ("camera", "wrist"), ("base", "camera")):
        with pytest.raises(tf_buffer.ContradictionError):
            robot.buffer.lookup(target, source, robot.now_ns - S // 100)


def test_a_loop_beyond_the_common_ancestor_does_not_matter():
    robot = Robot()
    robot.runs(1.0, also=lambda robot: (robot.send("map", "base", (0, 0, 0)), robot.send("base", "map", (1, 0, 0))))
    assert robot.where() == TRUE
    with pytest.raises(tf_buffer.ContradictionError, match=r"base -> map -> base|map -> base -> map"):
        robot.buffer.lookup("map", "camera", robot.now_ns - S // 100)


def test_two_static_parents_are_an_error_until_the_dead_publisher_is_forgotten():
    robot = Robot()
    robot.send("other", "camera", (9, 9, 9), static=True)
    robot.runs(1.0)
    with pytest.raises(tf_buffer.ContradictionError, match="'camera' hangs below 'wrist' and 'other'"):
        robot.where()
    robot.buffer.question_static()
    robot.send("wrist", "camera", (0, 0, 0.1), static=True)
    robot.runs(2.1)
    assert robot.where() == TRUE


def test_static_transforms_that_contradict_nothing_need_no_living_publisher():
    robot = Robot()
    robot.buffer.question_static()
    robot.runs(60.0)
    assert robot.where() == TRUE


@pytest.mark.parametrize("behind_ms", [0.0, 3.0, 10.0])
def test_two_publishers_of_one_transform_are_named_and_the_right_one_is_back(behind_ms):
    robot = Robot()
    wrong, checked = 0, 0

    def foreign(robot):
        nonlocal wrong, checked
        robot.send("base", "wrist", (0.9, 0, 0), ahead_s=-behind_ms / 1e3)
        try:
            found = robot.where()
        except FrameError:
            return
        checked += 1
        wrong += not (found == TRUE or checked < 2)

    robot.runs(3.0, also=foreign)
    assert wrong == 0
    with pytest.raises(tf_buffer.ContradictionError, match="base_T_wrist is published with values that differ by 400 mm"):
        robot.where()
    robot.runs(2.5)
    assert robot.where() == TRUE


def test_a_jump_is_no_motion_and_fast_motion_is_none():
    robot = Robot()
    robot.runs(0.02, x_m=3.0)
    with pytest.raises(FrameError, match="base_T_wrist jumps by 2500 mm"):
        robot.where()
    robot.runs(0.1, x_m=3.0)
    assert robot.where() == [3.0, 0, 0.1]
    for number in range(50):
        robot.runs(0.02, x_m=3.0 + 0.1 * number)
        assert 3.0 <= robot.where()[0] <= 8.0


def test_an_edge_without_publisher_is_forgotten():
    robot = Robot(max_age_s=3.0)
    robot.runs(2.9, moving=False)
    assert robot.buffer.lookup("base", "camera", None).translation_m.tolist() == TRUE
    robot.runs(0.2, moving=False)
    for stamp_ns in (None, robot.now_ns):
        with pytest.raises(FrameError, match="'base' does not exist"):
            robot.buffer.lookup("base", "camera", stamp_ns)
    assert robot.buffer.frames() == ("camera", "wrist"), "a static transform stays"


@pytest.mark.parametrize("back_s", [3.0, 900.0])
def test_time_set_back_forgets_the_moving_transforms(back_s):
    robot = Robot(max_gap_s=5.0)
    robot.send("wrist", "camera", (0, 0, 0.1), static=True)
    robot.now_ns -= round(back_s * S)
    assert robot.buffer.frames() == ("camera", "wrist")
    robot.runs(0.1, x_m=7.0)
    assert robot.where() == [7.0, 0, 0.1]
    robot.now_ns += round(back_s * S)
    robot.send("base", "wrist", (8, 0, 0), ahead_s=-back_s / 2)
    assert robot.buffer.lookup("base", "wrist", robot.now_ns - round(back_s / 2 * S)).translation_m[0] == 8.0


def test_a_recording_in_a_loop_does_not_mix_its_rounds():
    """Without a clock of its own: only the stamps are set back."""
    buffer = tf_buffer.TransformBuffer(tf_buffer.TransformLimits(cache_s=60.0))
    for start_m in (0.0, 5.0):
        for step in range(100):
            buffer.add(turned("base", "wrist", 0.0, (start_m + step / 100, 0, 0)), 100 * S + step * S // 20)
    assert buffer.lookup("base", "wrist", 100 * S + S).translation_m[0] == pytest.approx(5.2)


def test_many_foreign_frames_do_not_stay():
    robot = Robot()
    robot.runs(20.0, also=lambda robot: robot.send("base", f"object{robot.now_ns}", (0, 0, 0)))
    robot.runs(30.0)
    assert robot.buffer.frames() == ("base", "camera", "wrist")
