"""The simulated arm: its joints, gripper, cameras and planner, against what MuJoCo knows."""

import numpy as np
import pytest

pytest.importorskip("tabletask")
pytest.importorskip("mink")
pytest.importorskip("ruckig")

from molmo_point.arm.joint_path import FollowEnd, JointPath, NoPath, NoPathReason
from molmo_point.arm.obstacle_boxes import ObstacleBox
from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.sim.arm.fingers import finger_linkage
from molmo_point.sim.arm.simulated_arm import SimulatedArm
from molmo_point.sim.arm.tables import GAP_M, WIDEST_M, random_arm_layout
from molmo_point.sim.arm.truth import ArmTruth

DOWN = np.diag([1.0, -1.0, -1.0])
WRIST = "wrist_camera_color_optical_frame"


def tool_at(x, y, z):
    return Transform("base", "tool", DOWN, np.array([x, y, z]))


@pytest.fixture(scope="module")
def world():
    with SimulatedArm(random_arm_layout(np.random.default_rng(4), 3), 160, 120) as arm:
        yield arm


@pytest.fixture
def arm(world):
    """The arm, at home, with its fingers open."""
    home = world.plan_home()
    assert isinstance(home, JointPath)
    world.follow(home)
    world.move_gripper(world.gripper.max_opening_m)
    return world


def test_random_tables_are_for_this_arm_and_come_again():
    layout = random_arm_layout(np.random.default_rng(1), 8)
    assert layout == random_arm_layout(np.random.default_rng(1), 8)
    assert all(2 * min(item.half_size_m[:2]) <= WIDEST_M for item in layout.objects)
    for number, a in enumerate(layout.objects):
        for b in layout.objects[number + 1 :]:
            away = np.hypot(*(np.array(a.position_base_m) - b.position_base_m)[:2])
            assert away > a.footprint_radius_m + b.footprint_radius_m + GAP_M


def test_it_goes_where_it_planned_to(arm):
    goal = tool_at(0.05, 0.1, 0.25)
    path = arm.plan([goal])
    assert isinstance(path, JointPath)
    before = arm.now_ns()
    assert arm.follow(path) is FollowEnd.DONE
    pose = arm.base_T_tool()
    assert pose.translation_m == pytest.approx(goal.translation_m, abs=0.004)
    assert np.trace(pose.rotation.T @ goal.rotation) > 2.999
    assert (arm.now_ns() - before) * 1e-9 == pytest.approx(path.duration_s, abs=0.15)


def test_a_straight_line_is_straight(arm):
    first = arm.plan([tool_at(0.0, 0.1, 0.3)])
    assert isinstance(first, JointPath)
    line = arm.plan([tool_at(0.0, 0.1, 0.2)], start_rad=first.end_rad, straight=True)
    assert isinstance(line, JointPath)
    for row in line.positions_rad:
        place = arm.planner.tool_pose(row)[:3, 3]
        assert place[:2] == pytest.approx([0.0, 0.1], abs=0.003)
        assert 0.198 < place[2] < 0.302


def test_out_of_reach_and_through_the_table_are_told_apart(arm):
    far = arm.plan([tool_at(0.9, 0.6, 0.2)])
    assert isinstance(far, NoPath)
    assert far.reason is NoPathReason.UNREACHABLE
    low = arm.plan([tool_at(0.0, 0.0, -0.02)])
    assert isinstance(low, NoPath)
    assert low.reason is NoPathReason.COLLISION
    assert "table" in low.message


def test_an_obstacle_is_kept_clear_of_and_forgotten_afterwards(arm):
    goal = [tool_at(0.0, 0.0, 0.08)]
    box = ObstacleBox((0.0, 0.0, 0.1), (0.03, 0.03, 0.1))
    blocked = arm.plan(goal, obstacles=[box])
    assert isinstance(blocked, NoPath)
    assert blocked.reason is NoPathReason.COLLISION
    assert isinstance(arm.plan(goal), JointPath)


def test_cancelling_slows_down_and_stands(arm):
    path = arm.plan([tool_at(0.1, 0.15, 0.25)])
    assert isinstance(path, JointPath)
    start = arm.now_ns()
    speeds = []
    end = arm.follow(path, cancelled=lambda: speeds.append(arm.base_T_tool().translation_m) or arm.now_ns() - start > 0.5e9)
    assert end is FollowEnd.CANCELLED
    assert (arm.now_ns() - start) * 1e-9 < 1.3
    stood = arm.joint_positions()
    arm.wait(0.2)
    assert arm.joint_positions() == pytest.approx(stood, abs=0.01)
    assert np.abs(arm.joint_positions() - path.end_rad).max() > 0.1


def test_stop_from_outside_stops(arm):
    path = arm.plan([tool_at(0.1, -0.15, 0.25)])
    assert isinstance(path, JointPath)
    asked = []
    end = arm.follow(path, cancelled=lambda: asked.append(1) or (len(asked) == 100 and arm.stop()) or False)
    assert end is FollowEnd.CANCELLED


def test_a_stopped_arm_stays_where_it_is_until_it_is_resumed(arm):
    path = arm.plan([tool_at(0.1, -0.15, 0.25)])
    assert isinstance(path, JointPath)
    arm.stop()
    before, width = arm.joint_positions(), arm.gripper_width()
    assert arm.follow(path) is FollowEnd.CANCELLED
    assert arm.move_gripper(0.0) == pytest.approx(width, abs=0.001)
    assert arm.joint_positions() == pytest.approx(before, abs=0.002)
    arm.resume()
    assert arm.follow(path) is FollowEnd.DONE


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_it_stands_within_035_s_of_a_stop(arm, share):
    path = arm.plan([tool_at(0.1, 0.28, 0.15)])
    assert isinstance(path, JointPath)
    motors = [arm.model.joint(f"arm/{name}").dofadr[0] for name in arm.joint_names]
    due_ns, speeds, stopped = arm.now_ns() + share * path.duration_s * 1e9, [], []

    def stop_on_the_way():
        if not stopped and arm.now_ns() > due_ns:
            stopped.append(arm.now_ns())
            arm.stop()
        return False

    arm.after_every_step(lambda: speeds.append((arm.now_ns(), np.abs(arm.data.qvel[motors]).max())))
    assert arm.follow(path, cancelled=stop_on_the_way) is FollowEnd.CANCELLED
    arm.wait(0.5)
    arm._listeners.clear()
    arm.resume()
    late = [speed for when, speed in speeds if when > stopped[0] + 0.35e9]
    assert max(speed for when, speed in speeds if when <= stopped[0]) > 0.5
    assert max(late) < 0.02


@pytest.mark.parametrize("after_s", [0.01, 0.02, 0.1, 0.3])
def test_fingers_stopped_in_the_air_stay_there(arm, after_s):
    began = arm.now_ns()
    width = arm.move_gripper(0.0, cancelled=lambda: arm.now_ns() - began > after_s * 1e9)
    assert width > 0.04
    arm.wait(0.5)
    assert arm.gripper_width() == pytest.approx(width, abs=0.001)
    assert arm.is_gripping() is False


def test_a_path_from_elsewhere_is_refused(arm):
    path = arm.plan([tool_at(0.1, -0.15, 0.25)], start_rad=arm.home_rad + 0.3)
    if isinstance(path, NoPath):
        path = JointPath(arm.joint_names, np.stack([arm.home_rad + 0.3, arm.home_rad]), 1.0)
    with pytest.raises(InputError, match="begin where the arm is"):
        arm.follow(path)


def test_poses_of_other_frames_are_refused(arm):
    with pytest.raises(FrameError, match="tool in its base frame"):
        arm.plan([Transform("base", "flange", DOWN, np.array([0.0, 0.0, 0.3]))])


@pytest.mark.parametrize("width_m", [0.03, 0.07])
def test_the_gripper_opens_as_wide_as_it_is_told(arm, width_m):
    assert arm.move_gripper(width_m) == pytest.approx(width_m, abs=0.002)
    pads = [arm.data.geom(f"arm/{side}_pad2").xpos for side in ("left", "right")]
    assert np.linalg.norm(pads[0] - pads[1]) - 0.018 == pytest.approx(width_m, abs=0.002)


def test_the_tool_is_put_where_the_pads_will_be(arm):
    arm.move_gripper(0.04)
    pads = [arm.data.geom(f"arm/{side}_pad2").xpos for side in ("left", "right")]
    grasp = arm.base_T_tool() @ arm.grasp_T_tool(0.04).inverse()
    tips = 0.5 * (pads[0] + pads[1]) + 0.009375 * grasp.rotation[:, 2]
    assert tips == pytest.approx(grasp.translation_m + arm.gripper.tip_offset_m * grasp.rotation[:, 2], abs=0.0015)
    assert abs((pads[1] - pads[0]) @ grasp.rotation[:, 1]) == pytest.approx(0.058, abs=0.002)


def test_width_and_angle_of_the_linkage_belong_together(world):
    linkage = finger_linkage(world.model)
    for width in (0.0, 0.02, 0.05, 0.08):
        assert linkage.width_m(linkage.angle_rad(width)) == pytest.approx(width, abs=1e-9)
    assert linkage.tip_m(0.0) > linkage.tip_m(0.08)


def test_a_gripper_wider_than_it_is_refused(arm):
    with pytest.raises(InputError, match="opening"):
        arm.move_gripper(0.2)


def test_the_camera_was_where_it_was_when_the_picture_was_taken(arm):
    path = arm.plan([tool_at(0.05, 0.1, 0.25)])
    assert isinstance(path, JointPath)
    seen = []

    def watch():
        if len(seen) < 60:
            seen.append((arm.now_ns(), arm.view("wrist").pose))
        return False

    arm.follow(path, cancelled=watch)
    stamp, true = seen[40]
    assert arm.base_T_camera(WRIST, stamp).translation_m == pytest.approx(true.translation_m, abs=0.002)
    assert np.linalg.norm(arm.base_T_camera(WRIST).translation_m - true.translation_m) > 0.05


def test_an_object_is_seen_where_the_transforms_say(arm):
    geoms = arm.view("wrist").render_geoms()
    view = arm.view("wrist")
    hits = 0
    for number in range(len(arm.layout.objects)):
        middle = arm.data.body(f"object_{number}").xpos
        u, v = np.rint(view.intrinsics.project(arm.base_T_camera(WRIST).inverse().apply(middle, "base"))).astype(int)
        if 0 <= u < 160 and 0 <= v < 120:
            hits += 1
            assert geoms[v, u] == arm.model.geom(f"object_{number}_solid").id
    assert hits >= 1


def test_a_wrong_hand_eye_transform_is_believed(arm):
    true = arm.base_T_camera(WRIST)
    arm.miscalibrate(WRIST, Transform(WRIST, WRIST, np.eye(3), np.array([0.005, 0.0, 0.0])))
    believed = arm.base_T_camera(WRIST)
    arm._errors.clear()
    assert np.linalg.norm(believed.translation_m - true.translation_m) == pytest.approx(0.005, abs=1e-6)


def test_names_that_are_no_camera_are_refused(arm):
    with pytest.raises(InputError, match="must be a camera"):
        arm.view("left")
    with pytest.raises(FrameError, match="must be of a camera"):
        arm.base_T_camera("elsewhere")


def test_the_judge_sees_a_push(arm):
    truth = ArmTruth(arm)
    assert truth.moved_m().max() < 1e-6
    assert truth.lifted() == set()
    body = arm.model.body("object_0")
    at = arm.model.jnt_qposadr[body.jntadr[0]]
    arm.data.qpos[at] += 0.05
    arm.wait(0.05)
    assert truth.moved_m()[0] == pytest.approx(0.05, abs=0.01)
    arm._listeners.clear()
