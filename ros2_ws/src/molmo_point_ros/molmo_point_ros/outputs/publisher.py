"""Output topics: our array of targets, and the standard messages that arms and RViz know."""

from collections.abc import Callable, Sequence
from typing import Any

from geometry_msgs.msg import PointStamped, PoseStamped, PoseWithCovarianceStamped
from molmo_point_msgs.msg import PointTargetArray
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNodeMixin
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from visualization_msgs.msg import MarkerArray

from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.results import Pointing
from molmo_point_ros.conversions import (
    best_target,
    detections_message,
    import_vision_msgs,
    markers_message,
    plain_pose_message,
    point_message,
    pose_message,
)
from molmo_point_ros.inputs.qos_events import output_events
from molmo_point_ros.nodes.parameters import PointingNodeParameters
from molmo_point_ros.outputs.annotator import Annotator
from molmo_point_ros.pointing.answers import QueryAnswer, answer_of
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.stamped_frame import StampedFrame

TOPICS = {
    "targets": "~/targets",
    "point": "~/target_point",
    "pose": "~/target_pose",
    "pose_with_covariance": "~/target_pose_with_covariance",
    "markers": "~/markers",
    "detections": "~/detections_3d",
    "annotated": "~/annotated/compressed",
}
"""Topic of each output; the parameter `publish_NAME` switches it."""

KINDS = {
    "targets": PointTargetArray,
    "point": PointStamped,
    "pose": PoseStamped,
    "pose_with_covariance": PoseWithCovarianceStamped,
    "markers": MarkerArray,
    "annotated": CompressedImage,
}


def result_qos(lifespan_s: float) -> QoSProfile:
    """Return a reliable QoS that is not latched and ends delivery after the lifespan in seconds; 0 is no limit.

    No subscriber may act on an old target.
    """
    return QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
        lifespan=Duration(seconds=lifespan_s),
    )


class TargetPublisher:
    """Publishes the outputs of a node.

    Args:
        node: A node, or a lifecycle node, which publishes only while active.
        lifespan_s: Time after which an answer is no longer delivered, in seconds.
        marker_lifetime_s: Time for which RViz shows an answer, in seconds.
        outputs: Names of `TOPICS`; "detections" needs vision_msgs and is otherwise skipped.
        annotated_rate_hz: Most annotated images per second, in hertz.
        annotated_quality: JPEG quality of annotated images, 1 to 95.
    """

    def __init__(
        self,
        node: Any,
        lifespan_s: float = 2.0,
        marker_lifetime_s: float = 10.0,
        *,
        outputs: Sequence[str] = tuple(TOPICS),
        annotated_rate_hz: float = 5.0,
        annotated_quality: int = 80,
    ) -> None:
        is_lifecycle = isinstance(node, LifecycleNodeMixin)
        create = node.create_lifecycle_publisher if is_lifecycle else node.create_publisher
        self._destroy = node.destroy_lifecycle_publisher if is_lifecycle else node.destroy_publisher
        qos = result_qos(lifespan_s)
        self._marker_lifetime_s = marker_lifetime_s
        self._vision_msgs = import_vision_msgs() if "detections" in outputs else None
        kinds = dict(KINDS)
        if self._vision_msgs is not None:
            kinds["detections"] = self._vision_msgs.Detection3DArray
        self._publishers = {
            name: create(kinds[name], TOPICS[name], qos, event_callbacks=output_events(node, TOPICS[name]))
            for name in outputs
            if name in kinds
        }
        self._annotator: Annotator | None = None
        if "annotated" in self._publishers:
            self._annotator = Annotator(self._publishers["annotated"], node.get_logger(), annotated_rate_hz, annotated_quality)

    def publish(self, pointing: Pointing, frame: RgbdFrame, target_T_camera: Transform | None = None) -> PointTargetArray:
        """Publish an answer without gates. Point and poses are published for the best target only.

        Args:
            pointing: The answer.
            frame: The capture it was given for.
            target_T_camera: Into the frame of the positions, at the capture time; None for the optical frame.

        Returns:
            The array that was published.
        """
        answer = answer_of(pointing, StampedFrame(frame, target_T_camera), Gates(), frame.stamp_ns)
        self.publish_answers([answer], frame)
        return answer.message

    def publish_answers(
        self, answers: Sequence[QueryAnswer], frame: RgbdFrame, shown: Sequence[QueryAnswer] | None = None
    ) -> None:
        """Publish answers about one capture. A target that a gate stops is in the array only.

        Args:
            answers: One for each query.
            frame: The capture.
            shown: Answers of the markers and the annotated image; None for `answers`.
        """
        shown = answers if shown is None else shown
        for answer in answers:
            # The outputs for arms come first: each output takes half a millisecond.
            best = best_target(answer.targets)
            if best is not None:
                self._send("point", lambda best=best: point_message(best))
                self._send("pose", lambda best=best: plain_pose_message(best))
                self._send("pose_with_covariance", lambda best=best: pose_message(best))
            self._send("targets", lambda answer=answer: answer.message)
            self._send("detections", lambda answer=answer: detections_message(answer.message, self._vision_msgs))
        targets = [target for answer in shown for target in answer.targets]
        doubted = [doubt for answer in shown for _, doubt in answer.shown]
        self._send("markers", lambda: markers_message(targets, self._marker_lifetime_s, doubted))
        if self._annotator is not None:
            self._annotator.offer(frame, shown)

    def _send(self, name: str, make: Callable[[], Any]) -> None:
        publisher = self._publishers.get(name)
        if publisher is not None:
            publisher.publish(make())

    def subscription_counts(self) -> dict[str, int]:
        """Return the number of connected subscribers of each topic."""
        return {publisher.topic_name: publisher.get_subscription_count() for publisher in self._publishers.values()}

    def close(self) -> None:
        """End the publishers."""
        if self._annotator is not None:
            self._annotator.close()
        for publisher in self._publishers.values():
            self._destroy(publisher)
        self._publishers = {}


def open_publisher(node: Any, parameters: PointingNodeParameters) -> TargetPublisher:
    """Open the outputs that the parameters ask for."""
    return TargetPublisher(
        node,
        parameters.lifespan_s,
        parameters.marker_lifetime_s,
        outputs=tuple(name for name in TOPICS if getattr(parameters, f"publish_{name}")),
        annotated_rate_hz=parameters.annotated_rate_hz,
        annotated_quality=parameters.annotated_quality,
    )
