"""Teaching over real DDS: an object is shown to a camera topic, learnt, pointed at, and forgotten, without a restart."""

import json
import math
import threading
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)
pytest.importorskip("cv2", reason="OpenCV is not installed")

from dds_robot import ANSWER_S, SCRIPTED_NODE, Robot, SceneCamera, until  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from molmo_point_msgs.action import Teach  # noqa: E402
from molmo_point_ros.clients.teach_client import TeachClient  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError  # noqa: E402
from teach_scene import DUCK, INTRINSICS, ROBOT, Tile, scene, views  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(240)]

TWO = scene(Tile(DUCK, (90, 120)), Tile(ROBOT, (230, 120), size=0.6), seed=50)


class ShowingCamera(SceneCamera):
    """A camera before which somebody turns an object; `shown` holds the scenes, each shown for half a second."""

    shown = (TWO,)

    def _run(self):
        while not self._end.wait(0.1):
            self.color, self.depth_m = self.shown[int(time.monotonic() * 2) % len(self.shown)]
            self._end.wait(0.0)
            self._publish_one()

    def _publish_one(self):
        from molmo_point_ros.conversions import frame_to_messages

        from molmo_point.frame import RgbdFrame

        stamp_ns = time.time_ns()
        messages = frame_to_messages(RgbdFrame(self.color, self.depth_m, self.intrinsics, stamp_ns, self.frame))
        for publisher, message in zip(reversed(self._publishers), reversed(messages), strict=True):
            publisher.publish(message)


@pytest.fixture(scope="module")
def robot(processes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teaching")
    script = folder / "answers.json"
    script.write_text(json.dumps({"my duck": {"text": "There are none."}}), encoding="utf-8")
    patient = {"image_timeout_s": 15.0, "reliable": True, "taught": str(folder / "objects.taught")}
    processes.start(SCRIPTED_NODE, str(script), parameters=patient)
    rclpy.init()
    robot = Robot(processes)
    robot.file = folder / "objects.taught"
    robot.camera = ShowingCamera(robot.node, TWO, INTRINSICS, reliable=True)
    robot.teaching = TeachClient(robot.node)
    robot.wait()
    yield robot
    robot.camera.close()
    robot.teaching.close()
    robot.close()
    rclpy.try_shutdown()


def test_an_object_is_taught_found_and_forgotten(robot):
    assert robot.ask("my duck").results[0].absent
    robot.camera.shown, told = tuple(views(DUCK)), []
    learnt = robot.teaching.teach("my duck", views=3, timeout_s=ANSWER_S, on_feedback=told.append)
    assert (learnt.name, learnt.views) == ("my duck", 3) and any(bytes(each.view.data)[1:4] == b"PNG" for each in told)
    robot.camera.shown = (TWO,)
    time.sleep(1.0)
    answer = robot.ask("my duck").results[0]
    (target,) = answer.targets[:1]
    assert answer.model == "taught:objects" and math.dist((target.u, target.v), (90, 120)) < 22
    assert [each.name for each in robot.teaching.taught(thumbnails=True)] == ["my duck"]
    with pytest.raises(GoalError) as caught:
        robot.teaching.teach("my duck")
    assert caught.value.code == ErrorCode.NAME_EXISTS
    robot.teaching.forget("my duck")
    assert robot.ask("my duck").results[0].model == "scripted" and robot.teaching.taught() == []


def test_teaching_and_pointing_go_together_and_a_second_teaching_does_not(robot):
    robot.camera.shown = (scene(),)
    goal = Teach.Goal(name="my frog", mask_from=Teach.Goal.DIFFERENCE, u=math.nan, v=math.nan)
    call = robot.teaching.dispatch(goal)
    until(lambda: call.feedback, ANSWER_S, robot.processes)
    assert "empty scene" in call.feedback[0].advice
    second = robot.teaching.dispatch(Teach.Goal(name="my robot", u=math.nan, v=math.nan)).result(ANSWER_S)
    assert second.error_code == ErrorCode.GOAL_REJECTED and "another goal" in second.error_msg
    assert robot.ask("my duck").results and not call.wait_ended(0.0)
    before = robot.file.read_bytes()
    threading.Thread(target=robot.transition, args=(Transition.TRANSITION_DEACTIVATE,)).start()
    assert call.result(ANSWER_S).error_code == ErrorCode.CANCELED and robot.file.read_bytes() == before
    time.sleep(1.0)
    robot.transition(Transition.TRANSITION_ACTIVATE)
    robot.camera.close()
    result = robot.teaching.dispatch(Teach.Goal(name="my frog\x1b[2J", u=math.nan, v=math.nan)).result(ANSWER_S)
    assert result.error_code == ErrorCode.GOAL_REJECTED and result.error_msg.isprintable()
