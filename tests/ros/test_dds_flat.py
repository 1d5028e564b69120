"""A pointing node whose camera has no depth: targets on the table's plane, over real DDS."""

import json

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)
pytest.importorskip("mujoco")

from dds_robot import ANSWER_S, SCRIPTED_NODE, START_S, position_of, until  # noqa: E402
from molmo_point_msgs.msg import PointTarget  # noqa: E402
from molmo_point_ros.clients.point_client import PointAtClient  # noqa: E402
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]
SEED = 28


@pytest.fixture(scope="module")
def truth():
    from molmo_point.sim.tabletop.scene import TabletopScene

    with TabletopScene.random(SEED) as scene:
        item = max(scene.visible_objects(), key=lambda each: each.pixel_count).item
        middle = np.array(item.position_base_m)
        pose = scene.base_T_camera
        uv = scene.intrinsics.project(pose.inverse().apply(middle, pose.target))
        return middle, (uv + 0.5) * 100 / np.array(scene.intrinsics.size_wh)


@pytest.fixture(scope="module")
def client(processes, truth, tmp_path_factory):
    middle, (x, y) = truth
    answers = tmp_path_factory.mktemp("flat") / "answers.json"
    cube = f' <point x="{x:.2f}" y="{y:.2f}" alt="cube">cube</point>'
    answers.write_text(json.dumps({"the cube": {"text": cube}}))
    parameters = {
        "camera": f"simulated:{SEED}",
        "use_depth": False,
        "target_frame": "base",
        "plane_frame": "base",
        "plane_height_m": float(middle[2]),
        "plane_height_sigma_m": 0.004,
        "triangulate_s": 30.0,
        "image_timeout_s": 15.0,
        "tf_timeout_s": 5.0,
    }
    processes.start(SCRIPTED_NODE, str(answers), parameters=parameters)
    rclpy.init()
    client = PointAtClient()
    assert client.wait_for_server(START_S), processes.output()
    until(lambda: asked(client, "the cube") is not None, START_S, processes)
    yield client
    client.close()
    rclpy.try_shutdown()


def asked(client, query):
    try:
        return client.point_at([query], timeout_s=ANSWER_S).results[0].targets[0]
    except GoalError as error:
        assert error.code != ErrorCode.TF_ERROR, error
        return None


def test_a_point_without_depth_is_placed_on_the_plane(client, truth):
    target = asked(client, "the cube")
    assert target.depth_status == PointTarget.ON_PLANE
    np.testing.assert_allclose(position_of(target), truth[0], atol=0.002)
    covariance = np.array(target.position_covariance).reshape(3, 3)
    assert 0.003**2 < np.linalg.eigvalsh(covariance)[-1] < 0.03**2
    # The same camera in the same place tells nothing new.
    assert asked(client, "the cube").depth_status == PointTarget.ON_PLANE
