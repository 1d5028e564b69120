"""Targets read bit by bit by a participant that has never heard of ROS; and nothing seen from another domain."""

import importlib.util
import json
import os

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from dds_robot import START_S, scripted_robot, until  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]

# ROS 2 that is told to stay on this machine uses no multicast: the other has to be told where to look.
CYCLONE_CONFIG = (
    '<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="lo"/></Interfaces><AllowMulticast>false</AllowMulticast>'
    '</General><Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address="127.0.0.1"/></Peers></Discovery>'
    "</Domain></CycloneDDS>"
)
# Kilted's Fast DDS announces the types of its topics, and describes fixed arrays (the covariance) otherwise than CycloneDDS,
# which then refuses the pose. Without the announcement, types are matched by their name.
FAST_DDS_PROFILE = """<?xml version="1.0" encoding="UTF-8" ?>
<dds xmlns="http://www.eprosima.com"><profiles><participant profile_name="by_name" is_default_profile="true"><rtps>
<propertiesPolicy><properties><property><name>fastdds.type_propagation</name><value>disabled</value></property></properties>
</propertiesPolicy></rtps></participant></profiles></dds>
"""
FOREIGN = __file__.replace("test_dds_foreign.py", "foreign_participant.py")
needs_cyclone = pytest.mark.skipif(
    importlib.util.find_spec("cyclonedds") is None, reason="needs CycloneDDS: pip install cyclonedds (x86-64 only)"
)


@pytest.fixture(scope="module")
def robot(processes, answers_file, tmp_path_factory):
    profile = tmp_path_factory.mktemp("dds") / "profile.xml"
    profile.write_text(FAST_DDS_PROFILE, encoding="utf-8")
    processes.environment["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)
    with scripted_robot(processes, answers_file, target_frame="base") as robot:
        yield robot


def hexed(values):
    return [float(value).hex() for value in values]


def from_ros(point=None, pose=None):
    """What the other participant must print for a message."""
    message = point or pose
    header = {"stamp": [message.header.stamp.sec, message.header.stamp.nanosec], "frame": message.header.frame_id}
    if point is not None:
        return {"kind": "point", **header, "values": hexed((point.point.x, point.point.y, point.point.z))}
    position, turn = pose.pose.pose.position, pose.pose.pose.orientation
    values = (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w, *pose.pose.covariance)
    return {"kind": "pose", **header, "values": hexed(values)}


def printed(output):
    return [json.loads(line) for line in output.read_text().splitlines() if line.startswith("{")]


@needs_cyclone
def test_a_participant_without_ros_reads_point_and_covariance_bit_by_bit(robot):
    robot.processes.environment["CYCLONEDDS_URI"] = CYCLONE_CONFIG
    process, output = robot.processes.start(FOREIGN, os.environ["ROS_DOMAIN_ID"], "3")
    until(lambda: "listening" in output.read_text() or process.poll() is not None, START_S, robot.processes)
    until(lambda: robot.ask("the box") and process.poll() is not None, START_S, robot.processes)
    assert process.returncode == 0, robot.processes.output()
    heard = robot.heard
    until(lambda: heard.points[-1].header.stamp == heard.poses[-1].header.stamp, START_S, robot.processes)
    expected = [from_ros(point=message) for message in heard.points] + [from_ros(pose=message) for message in heard.poses]
    read = printed(output)
    assert len(read) >= 6
    for message in read:
        assert message in expected, f"{message} is not what ROS received"
        assert message["frame"] == "base"
    assert {message["kind"] for message in read} == {"point", "pose"}
    assert all(len(message["values"]) == 43 for message in read if message["kind"] == "pose")


def test_another_domain_sees_and_hears_nothing(robot):
    """In a process of its own: a subscriber on the next domain, while answers are published on this one."""
    other = str(1 + int(os.environ["ROS_DOMAIN_ID"]) % 100)
    before, robot.processes.environment = robot.processes.environment, {**robot.processes.environment, "ROS_DOMAIN_ID": other}
    process, _ = robot.processes.start("subscriber", "--count", "1", "--timeout", "4")
    robot.processes.environment = before
    same, _ = robot.processes.start("subscriber", "--count", "1", "--timeout", "60")
    until(lambda: robot.ask("the box") and process.poll() is not None and same.poll() is not None, START_S, robot.processes)
    assert same.returncode == 0, "on the same domain it is heard"
    assert process.returncode == 1, "on another domain nothing must be heard"


@pytest.mark.slow
def test_discovery_can_be_switched_off(robot):
    """ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: a subscriber on the same domain and machine hears nothing."""
    if os.environ.get("ROS_DISTRO") == "humble":
        pytest.skip("Humble knows ROS_LOCALHOST_ONLY only")
    before = robot.processes.environment
    robot.processes.environment = {**before, "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}
    process, _ = robot.processes.start("subscriber", "--count", "1", "--timeout", "5")
    robot.processes.environment = before
    until(lambda: robot.ask("the box") and process.poll() is not None, START_S, robot.processes)
    assert process.returncode == 1, "with discovery off nothing must be heard"
