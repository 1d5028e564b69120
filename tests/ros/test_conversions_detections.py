"""Our array as vision_msgs has it. Where vision_msgs is not installed, stand-ins with the standard's field names serve."""

import math
import types
from dataclasses import dataclass, field

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.msg", reason="needs the built interfaces: make setup", exc_type=ImportError)

from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Vector3
from molmo_point_msgs.msg import PointTarget, PointTargetArray
from molmo_point_ros import conversions
from std_msgs.msg import Header

pytestmark = pytest.mark.ros


@dataclass
class Hypothesis:
    class_id: str = ""
    score: float = 0.0


@dataclass
class HypothesisWithPose:
    hypothesis: Hypothesis = field(default_factory=Hypothesis)
    pose: PoseWithCovariance = field(default_factory=PoseWithCovariance)


@dataclass
class Box:
    center: Pose = field(default_factory=Pose)
    size: Vector3 = field(default_factory=Vector3)


@dataclass
class Detection:
    header: Header = field(default_factory=Header)
    results: list = field(default_factory=list)
    bbox: Box = field(default_factory=Box)
    id: str = ""


@dataclass
class DetectionArray:
    header: Header = field(default_factory=Header)
    detections: list = field(default_factory=list)


STAND_IN = types.SimpleNamespace(
    Detection3DArray=DetectionArray,
    Detection3D=Detection,
    ObjectHypothesisWithPose=HypothesisWithPose,
    ObjectHypothesis=Hypothesis,
)


def target(**values):
    base = {"label": "mug", "id": "1.4", "score": 0.5, "position": Point(x=0.1, y=0.2, z=0.6)}
    covariance = np.array([4.0, 1.0, 0.0, 1.0, 5.0, 0.5, 0.0, 0.5, 9.0]) * 1e-6
    return PointTarget(**{**base, "position_covariance": covariance, **values})


@pytest.mark.parametrize("vision_msgs", [STAND_IN, conversions.import_vision_msgs()], ids=["stand-in", "installed"])
def test_detections_say_what_our_array_says(vision_msgs):
    if vision_msgs is None:
        pytest.skip("vision_msgs is not installed")
    array = PointTargetArray(query="mug")
    array.header.frame_id, array.header.stamp.sec = "base", 7
    nowhere = target(position=Point(x=math.nan, y=math.nan, z=math.nan), depth_status=PointTarget.DEPTH_MISSING)
    stopped = target(gate=PointTarget.GATE_WORKSPACE, reason="outside")
    array.targets = [target(), nowhere, stopped, target(label="cup", id="", score=math.nan)]
    message = conversions.detections_message(array, vision_msgs)
    assert message.header == array.header
    first, last = message.detections
    assert (first.header, first.id, last.id) == (array.header, "1.4", "")
    (result,) = first.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("mug", 0.5)
    assert math.isnan(last.results[0].hypothesis.score) and last.results[0].hypothesis.class_id == "cup"
    assert result.pose.pose.position == array.targets[0].position and result.pose.pose.orientation.w == 1.0
    covariance = np.array(result.pose.covariance).reshape(6, 6)
    np.testing.assert_array_equal(covariance[:3, :3].reshape(-1), array.targets[0].position_covariance)
    assert covariance[3, 3] == pytest.approx(math.pi**2) and not covariance[:3, 3:].any()
    assert first.bbox.center.position == array.targets[0].position and first.bbox.size == Vector3()
