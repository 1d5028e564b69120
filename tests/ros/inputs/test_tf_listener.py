"""Transforms from messages: refused ones are named in errors, and a contradiction reads the static ones again."""

import types

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)
from geometry_msgs.msg import TransformStamped
from molmo_point_ros.conversions import stamp_from_ns
from molmo_point_ros.inputs.tf_edge import ContradictionError, TransformLimits
from molmo_point_ros.inputs.tf_listener import TransformListener
from tf2_msgs.msg import TFMessage

from molmo_point.errors import FrameError

pytestmark = pytest.mark.ros

S = 1_000_000_000


class FakeNode:
    """Keeps callbacks by topic, the number of subscriptions, and what is logged."""

    def __init__(self):
        self.takers, self.made, self.ended, self.logged = {}, [], [], []

    def create_subscription(self, kind, topic, taker, qos):
        self.takers[topic] = taker
        self.made.append(topic)
        return topic

    def destroy_subscription(self, subscription):
        self.ended.append(subscription)

    def call_soon(self, callback):
        callback()

    def get_logger(self):
        return types.SimpleNamespace(warning=lambda text, **_: self.logged.append(text))


def stamped(parent, child, x_m, stamp_ns, w=1.0):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, stamp_from_ns(stamp_ns)
    message.transform.translation.x, message.transform.rotation.w = float(x_m), w
    return message


class Listener:
    def __init__(self):
        self.node, self.now_ns = FakeNode(), 100 * S
        self.source = TransformListener(self.node, lambda: self.now_ns, TransformLimits())

    def take(self, *arguments, topic="/tf", **options):
        self.node.takers[topic](TFMessage(transforms=[stamped(*arguments, self.now_ns, **options)]))


@pytest.mark.parametrize(("x_m", "w"), [(float("nan"), 1.0), (1e300, 1.0), (0.0, 0.0), (0.0, float("nan")), (0.0, 0.5)])
def test_a_refused_transform_is_named_in_the_log_and_in_the_error(x_m, w):
    listener = Listener()
    listener.take("base", "camera", x_m, w=w)
    assert "'base' to 'camera'" in listener.node.logged[0]
    with pytest.raises(FrameError, match="refused transform from 'base' to 'camera'"):
        listener.source.lookup("base", "camera", listener.now_ns)
    listener.take("base", "camera", 1.0)
    assert listener.source.lookup("base", "camera", listener.now_ns).translation_m[0] == 1.0


def test_names_with_control_characters_do_not_reach_a_terminal():
    listener = Listener()
    listener.take("base", "cam\x1b[2J", 0.0)
    assert "\x1b" not in listener.node.logged[0]


def test_a_contradiction_reads_the_static_transforms_again_but_not_all_the_time():
    listener = Listener()
    for parent in ("base", "other"):
        listener.take(parent, "camera", 1.0, topic="/tf_static")
    for _ in range(3):
        with pytest.raises(ContradictionError):
            listener.source.lookup("base", "camera", listener.now_ns)
    assert listener.node.made.count("/tf_static") == 2 and listener.node.ended == ["/tf_static"]
    listener.take("base", "camera", 1.0, topic="/tf_static")
    listener.now_ns += 3 * S
    assert listener.source.lookup("base", "camera", listener.now_ns).translation_m[0] == 1.0
