"""Publishes answers: our array, and the standard messages that arms and RViz know."""

from typing import Any

from geometry_msgs.msg import PointStamped, PoseWithCovarianceStamped
from molmo_point_msgs.msg import PointTargetArray
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from visualization_msgs.msg import MarkerArray

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import Pointing
from molmo_point_ros.conversions import best_target, markers_message, point_message, pose_message, targets_message


def result_qos(lifespan_s: float) -> QoSProfile:
    """Reliable, never latched, and no longer delivered after its lifespan: nobody acts on an old target. 0 is no limit."""
    return QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
        lifespan=Duration(seconds=lifespan_s),
    )


class TargetPublisher:
    """Publishes `~/targets`, `~/target_point`, `~/target_pose_with_covariance` and `~/markers` of a node.

    Args:
        node: A node, or a lifecycle node (then only while it is active).
        lifespan_s: After this time an answer is no longer delivered.
        marker_lifetime_s: How long RViz shows an answer.
    """

    def __init__(self, node: Any, lifespan_s: float = 2.0, marker_lifetime_s: float = 10.0) -> None:
        create = getattr(node, "create_lifecycle_publisher", node.create_publisher)
        qos = result_qos(lifespan_s)
        self._node = node
        self._marker_lifetime_s = marker_lifetime_s
        self._targets = create(PointTargetArray, "~/targets", qos)
        self._point = create(PointStamped, "~/target_point", qos)
        self._pose = create(PoseWithCovarianceStamped, "~/target_pose_with_covariance", qos)
        self._markers = create(MarkerArray, "~/markers", qos)

    def publish(self, pointing: Pointing, frame: RgbdFrame, target_T_camera: Transform | None = None) -> PointTargetArray:
        """Publish an answer. Point and pose are those of the best target; without any target they are not published.

        Args:
            pointing: The answer.
            frame: The capture it was given for.
            target_T_camera: Into the frame that positions are wanted in, at the capture time; None: the optical frame.

        Returns:
            The array that was published.
        """
        message = targets_message(pointing, frame, target_T_camera)
        targets = pointing.targets
        if target_T_camera is not None:
            targets = tuple(target.transformed(target_T_camera) for target in targets)
        self._targets.publish(message)
        self._markers.publish(markers_message(targets, self._marker_lifetime_s))
        best = best_target(targets)
        if best is not None:
            self._point.publish(point_message(best))
            self._pose.publish(pose_message(best))
        return message

    def subscription_counts(self) -> dict[str, int]:
        """For each topic how many subscribers are connected to it, to know when a listener is there."""
        publishers = (self._targets, self._point, self._pose, self._markers)
        return {publisher.topic_name: publisher.get_subscription_count() for publisher in publishers}

    def close(self) -> None:
        """End the publishers."""
        destroy = getattr(self._node, "destroy_lifecycle_publisher", self._node.destroy_publisher)
        for publisher in (self._targets, self._point, self._pose, self._markers):
            destroy(publisher)
