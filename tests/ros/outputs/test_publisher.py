"""Which outputs there are, and what they say of their delivery: a node of this process, nobody listens."""

import dataclasses
import math

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_ros.nodes.parameters import PointingNodeParameters  # noqa: E402
from molmo_point_ros.outputs import publisher as publisher_module  # noqa: E402
from molmo_point_ros.outputs.annotator import draw  # noqa: E402
from molmo_point_ros.pointing.answers import answer_of  # noqa: E402
from molmo_point_ros.pointing.gates import Gates  # noqa: E402
from molmo_point_ros.pointing.stamped_frame import StampedFrame  # noqa: E402
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy  # noqa: E402

from molmo_point.cautions import Caution, CautionKind  # noqa: E402
from molmo_point.frame import RgbdFrame  # noqa: E402
from molmo_point.results import (  # noqa: E402
    DepthStatus,
    Found,
    ImagePoint,
    Pointing,
    Target,
)

pytestmark = pytest.mark.ros

FRAME = RgbdFrame(np.zeros((40, 60, 3), np.uint8), None, None, 5_000_000_000, "optical")


@pytest.fixture
def node(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    context = rclpy.context.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("molmo_point", context=context, start_parameter_services=False)
    yield node
    node.destroy_node()
    context.shutdown()


def answer(query, position, gates, *cautions):
    target = Target(
        9.0, 9.0, query, 0.9, np.array(position), np.eye(3) * 1e-6, "optical", FRAME.stamp_ns, DepthStatus.OK, math.nan, 1.0
    )
    pointing = Pointing(query, "m", "", False, (Found(ImagePoint(9.0, 9.0, query, 0.9), target),), {}, FRAME.stamp_ns, "optical")
    pointing = dataclasses.replace(pointing, cautions=cautions)
    return answer_of(pointing, StampedFrame(FRAME), gates, FRAME.stamp_ns)


@pytest.mark.parametrize("name", [name for name in publisher_module.TOPICS if name != "detections"])
def test_each_output_can_be_switched_off(node, name):
    publisher = publisher_module.open_publisher(node, PointingNodeParameters(**{f"publish_{name}": False}))
    topic = publisher_module.TOPICS[name].replace("~", "/molmo_point")
    everything = {each.replace("~", "/molmo_point") for key, each in publisher_module.TOPICS.items() if key != "detections"}
    assert set(publisher.subscription_counts()) - {"/molmo_point/detections_3d"} == everything - {topic}
    publisher.publish_answers([answer("mug", (0.0, 0.0, 0.5), Gates())], FRAME)
    publisher.close()
    assert not publisher.subscription_counts()


def test_nothing_is_latched_and_all_has_a_lifespan():
    qos = publisher_module.result_qos(2.0)
    assert (qos.durability, qos.reliability) == (DurabilityPolicy.VOLATILE, ReliabilityPolicy.RELIABLE)
    assert qos.lifespan.nanoseconds == 2_000_000_000


def test_markers_of_all_queries_stay_and_what_was_stopped_is_in_the_array_only(node, monkeypatch):
    publisher, sent = publisher_module.TargetPublisher(node), []
    monkeypatch.setattr(publisher, "_send", lambda name, make: sent.append((name, make())) if name != "detections" else None)
    gates = Gates(low_m=(-math.inf,) * 3, high_m=(math.inf, math.inf, 1.0))
    near, far = answer("mug", (0.0, 0.0, 0.5), gates), answer("wall", (0.0, 0.0, 2.0), gates)
    publisher.publish_answers([far], FRAME, shown=[near, far])
    assert [name for name, _ in sent] == ["targets", "markers"]
    assert sent[0][1].query == "wall"
    assert [marker.text for marker in sent[1][1].markers if marker.ns == "label"] == ["mug 90% ±1 mm"]
    del sent[:]
    publisher.publish_answers([near], FRAME)
    assert [name for name, _ in sent] == ["point", "pose", "pose_with_covariance", "targets", "markers"]
    publisher.close()


DOUBT = Caution(CautionKind.UNKNOWN_WORDS, "'mug' is not known", ("mug",))


@pytest.mark.parametrize("required", [True, False])
def test_an_untrusted_target_is_in_the_array_only_or_gray(node, monkeypatch, required):
    publisher, sent = publisher_module.TargetPublisher(node), []
    monkeypatch.setattr(publisher, "_send", lambda name, make: sent.append((name, make())) if name != "detections" else None)
    gates = Gates.from_parameters(PointingNodeParameters(require_trusted=required))
    sure, doubted = answer("cube", (0.1, 0.0, 0.5), gates), answer("mug", (0.0, 0.0, 0.5), gates, DOUBT)
    publisher.publish_answers([doubted], FRAME, shown=[sure, doubted])
    poses = [] if required else ["point", "pose", "pose_with_covariance"]
    assert [name for name, _ in sent] == [*poses, "targets", "markers"]
    markers = [marker for marker in sent[-1][1].markers if marker.ns in ("target", "label")]
    assert [marker.text for marker in markers if marker.text] == ["cube 90% ±1 mm"] + (
        [] if required else ["mug not trusted ±1 mm"]
    )
    dots = [marker.color for marker in markers if marker.ns == "target"]
    assert all((dot.r == dot.g == dot.b) == (number == 1) for number, dot in enumerate(dots))
    publisher.close()


def test_the_annotated_image_shows_a_doubt():
    color = np.full((200, 300, 3), 90, np.uint8)
    sure, doubted = answer("mug", (0.0, 0.0, 0.5), Gates()), answer("mug", (0.0, 0.0, 0.5), Gates(), DOUBT)
    assert not np.array_equal(draw(color, [sure]), draw(color, [doubted]))
