"""The whole path over DDS: words, the embedded model, the simulated arm with its physics, PickObject, and a video."""

import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_msgs.action import PickObject  # noqa: E402
from molmo_point_ros.clients.pick_client import PickClient  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

from molmo_point.commands import PlaceStep, Relation  # noqa: E402

from ..picking.foreign_words import FOREIGN  # noqa: E402

CHECKPOINT = Path(__file__).resolve().parents[2] / "molmo_point" / "checkpoints" / "tabletop" / "model.safetensors"
MISSING = [name for name in ("mujoco", "mink", "ruckig", "tabletask") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.ros,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"the simulated arm needs {', '.join(MISSING)}: pip install 'molmo-point[arm]'"),
    pytest.mark.skipif(not CHECKPOINT.is_file(), reason="the embedded checkpoint is not there"),
]
PATIENCE_S = 600.0
THING = "red brick"
"""On table 1 the embedded model tells it from the others through both cameras."""


@pytest.fixture(scope="module")
def arm(processes, tmp_path_factory):
    """A client of the simulated arm, and the folder of its videos."""
    folder = tmp_path_factory.mktemp("video")
    parameters = {"scene_seed": 1, "object_count": 5, "pace": 0.0, "video_folder": str(folder), "video_fps": 1.0}
    processes.start("pick_node", parameters=parameters, namespace="/simulated")
    rclpy.init()
    client = PickClient(server="/simulated/molmo_pick")
    if not client.wait_for_server(PATIENCE_S):
        pytest.fail(f"the picking node did not come up\n{processes.output()}")
    yield client, folder
    client.close()
    rclpy.try_shutdown()


def test_cancelled_on_the_way_up_it_holds_on_and_is_put_aside_afterwards(arm, processes):
    client, folder = arm
    call = client.dispatch(PickObject.Goal(query=THING))
    deadline = time.monotonic() + PATIENCE_S
    while not any(message.state == PickObject.Feedback.LIFT for message in call.feedback):
        assert time.monotonic() < deadline and call._result is None, processes.output()
        time.sleep(0.02)
    call.cancel()
    result = call.result(PATIENCE_S)
    assert result.failure == "CANCELLED" and result.holding == THING, processes.output()
    position = result.executed.pose.pose.position
    assert result.executed.header.frame_id == "base" and 0.0 < position.z < 0.05
    assert np.hypot(position.x, position.y) < 0.35
    placed = client.pick("", PlaceStep(Relation.ASIDE), timeout_s=PATIENCE_S)
    assert placed.placed and placed.holding == "", f"{placed.error_msg}\n{processes.output()}"
    while not (folder / "pick-002.mp4").exists() and not (folder / "pick-002.gif").exists():
        assert time.monotonic() < deadline, processes.output()
        time.sleep(0.1)
    assert (folder / "pick-001.png").exists()


def test_foreign_words_move_nothing(arm, processes):
    client, _ = arm
    time.sleep(1.0)
    heard = []
    client.node.create_subscription(JointState, "/joint_states", heard.append, 100)
    for query in FOREIGN[::40]:
        result = client.pick(query, PlaceStep(Relation.ASIDE), timeout_s=PATIENCE_S)
        assert (result.error_code, result.failure) == (ErrorCode.UNTRUSTED, "UNTRUSTED"), (query, result.error_msg)
        assert "UNKNOWN_WORDS" in result.error_msg and "accept_cautions" in result.error_msg
        assert not result.picked and not result.placed and result.holding == "", processes.output()
    joints = np.array([message.position for message in heard])
    assert len(joints) > 10
    assert np.ptp(joints, axis=0).max() < 0.003, "no joint and no finger moves"
