"""A DDS participant that has never heard of ROS: CycloneDDS, own type definitions, prints what it reads as JSON.

python foreign_participant.py DOMAIN COUNT [TOPIC_PREFIX]
"""

import json
import sys
import time
from dataclasses import dataclass

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import array, float64, int32, uint32
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

PATIENCE_S = 90.0


@dataclass
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: int32
    nanosec: uint32


@dataclass
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time
    frame_id: str


@dataclass
class Point(IdlStruct, typename="geometry_msgs::msg::dds_::Point_"):
    x: float64
    y: float64
    z: float64


@dataclass
class Quaternion(IdlStruct, typename="geometry_msgs::msg::dds_::Quaternion_"):
    x: float64
    y: float64
    z: float64
    w: float64


@dataclass
class Pose(IdlStruct, typename="geometry_msgs::msg::dds_::Pose_"):
    position: Point
    orientation: Quaternion


@dataclass
class PoseWithCovariance(IdlStruct, typename="geometry_msgs::msg::dds_::PoseWithCovariance_"):
    pose: Pose
    covariance: array[float64, 36]


@dataclass
class PointStamped(IdlStruct, typename="geometry_msgs::msg::dds_::PointStamped_"):
    header: Header
    point: Point


@dataclass
class PoseWithCovarianceStamped(IdlStruct, typename="geometry_msgs::msg::dds_::PoseWithCovarianceStamped_"):
    header: Header
    pose: PoseWithCovariance


def hexed(values):
    """Every bit of them."""
    return [float(value).hex() for value in values]


def header_of(message):
    return {"stamp": [message.header.stamp.sec, message.header.stamp.nanosec], "frame": message.header.frame_id}


def point_of(message):
    return {"kind": "point", **header_of(message), "values": hexed((message.point.x, message.point.y, message.point.z))}


def pose_of(message):
    position, turn = message.pose.pose.position, message.pose.pose.orientation
    values = (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w, *message.pose.covariance)
    return {"kind": "pose", **header_of(message), "values": hexed(values)}


def main(domain, count, prefix="rt/molmo_point"):
    participant = DomainParticipant(domain)
    qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.Durability.Volatile, Policy.History.KeepLast(100))
    topics = (("target_point", PointStamped, point_of), ("target_pose_with_covariance", PoseWithCovarianceStamped, pose_of))
    readers = [
        (DataReader(participant, Topic(participant, f"{prefix}/{name}", kind), qos=qos), read) for name, kind, read in topics
    ]
    print("listening", flush=True)
    deadline = time.monotonic() + PATIENCE_S
    seen = [0, 0]
    while min(seen) < count and time.monotonic() < deadline:
        for number, (reader, read) in enumerate(readers):
            for message in reader.take(N=10):
                if hasattr(message, "header"):
                    seen[number] += 1
                    print(json.dumps(read(message)), flush=True)
        time.sleep(0.02)
    return 0 if min(seen) >= count else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
