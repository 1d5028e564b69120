"""The node beside the node: its subscriptions are the owner's in name, and its thread is its own."""

import os
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)

from geometry_msgs.msg import PointStamped  # noqa: E402
from molmo_point_ros.inputs.input_node import InputNode  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.fixture
def owner():
    context = rclpy.context.Context()
    arguments = ["--ros-args", "-r", "points:=/elsewhere/points", "-r", "__node:=renamed"]
    context.init(args=arguments, domain_id=90 + os.getpid() % 10)
    node = rclpy.create_node("owner", namespace="/left", context=context, cli_args=arguments)
    yield node
    node.destroy_node()
    context.try_shutdown()


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_messages_come_under_the_owners_names_while_nobody_spins_the_owner(owner):
    inputs, got = InputNode(owner), []
    inputs.create_subscription(PointStamped, "points", got.append, qos_profile_sensor_data)
    inputs.create_subscription(PointStamped, "others", got.append, qos_profile_sensor_data)
    for topic in ("/elsewhere/points", "/left/others"):
        publisher = owner.create_publisher(PointStamped, topic, qos_profile_sensor_data)
        assert wait_for(lambda publisher=publisher: publisher.get_subscription_count() == 1), topic
        assert inputs.count_publishers(topic) == 1
        del got[:]
        assert wait_for(lambda publisher=publisher: publisher.publish(PointStamped()) or got), topic
    inputs.close()


def test_topics_of_the_same_type_and_transports_are_those_seen_instead(owner):
    inputs = InputNode(owner)
    inputs.create_subscription(Image, "/depth/image_raw", print, qos_profile_sensor_data)
    for kind, topic in (
        (Image, "/a/image"),
        (CompressedImage, "/depth/image_raw/compressedDepth"),
        (CompressedImage, "/b/compressed"),
    ):
        owner.create_publisher(kind, topic, qos_profile_sensor_data)
    expected = ["/depth/image_raw/compressedDepth", "/a/image"]
    assert wait_for(lambda: inputs.topics_like("/depth/image_raw") == expected), inputs.topics_like("/depth/image_raw")
    inputs.close()


def test_it_is_hidden_and_has_neither_services_nor_parameters(owner):
    inputs = InputNode(owner)
    name = inputs.node.get_name()
    assert name.startswith("_") and owner.get_name() in name and inputs.node.get_namespace() == "/left"
    mine = [service for service, _ in owner.get_service_names_and_types_by_node(name, "/left")]
    theirs = [service for service, _ in owner.get_service_names_and_types_by_node(owner.get_name(), "/left")]
    assert mine == [] and theirs
    inputs.close()


def test_closing_ends_thread_and_subscriptions_and_may_be_repeated(owner):
    inputs, got = InputNode(owner), []
    inputs.create_subscription(PointStamped, "points", got.append, qos_profile_sensor_data)
    publisher = owner.create_publisher(PointStamped, "/elsewhere/points", qos_profile_sensor_data)
    assert wait_for(lambda: publisher.get_subscription_count() == 1)
    inputs.close()
    inputs.close()
    assert wait_for(lambda: publisher.get_subscription_count() == 0)
    again = InputNode(owner)
    again.create_subscription(PointStamped, "points", got.append, qos_profile_sensor_data)
    assert wait_for(lambda: publisher.publish(PointStamped()) or got)
    again.close()


def test_a_callback_that_fails_does_not_end_the_others(owner):
    inputs, got = InputNode(owner), []

    def take(message):
        got.append(message)
        if len(got) == 1:
            raise ValueError("the first one cannot be used")

    inputs.create_subscription(PointStamped, "points", take, qos_profile_sensor_data)
    publisher = owner.create_publisher(PointStamped, "/elsewhere/points", qos_profile_sensor_data)
    assert wait_for(lambda: publisher.publish(PointStamped()) or len(got) >= 3)
    inputs.close()
