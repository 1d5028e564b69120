"""Transforms at the capture time: from tf2_ros if it is installed, otherwise from our buffer of /tf and /tf_static."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from tf2_msgs.msg import TFMessage

from molmo_point.errors import FrameError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.conversions import stamp_to_ns, transform_from_message, transform_to_message
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.tf_buffer import NotYetKnownError, TransformBuffer

_MOVING_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
_STATIC_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_POLL_S = 0.01


class TransformSource(ABC):
    """A tree of transforms."""

    @abstractmethod
    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Transform:
        """Return `target_T_source` at a capture time, or the newest with None.

        Raises:
            NotYetKnownError: If waiting may help.
            FrameError: If the transform will never be known.
        """

    @abstractmethod
    def newest_ns(self, target: str, source: str) -> int | None:
        """Return the newest stamp of the transform, in nanoseconds; None if it is static or unknown."""

    @abstractmethod
    def close(self) -> None:
        """End the subscriptions."""


def listen(node: Any, cache_s: float, inputs: InputNode) -> TransformSource:
    """Listen to /tf and /tf_static."""
    try:
        import tf2_ros
    except ImportError:
        return OwnListener(inputs, cache_s)
    return Tf2Listener(node, cache_s, tf2_ros)


def wait_for_transform(
    source: TransformSource, target: str, frame: str, stamp_ns: int, timeout_s: float, should_stop: Callable[[], bool]
) -> Transform | None:
    """Return `target_T_frame` at the stamp, and wait for it if it is late; None when told to stop.

    Raises:
        FrameError: If it is unknown after the timeout, or will never be known.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return source.lookup(target, frame, stamp_ns)
        except NotYetKnownError:
            if time.monotonic() >= deadline:
                raise
        if should_stop():
            return None
        time.sleep(_POLL_S)


class OwnListener(TransformSource):
    """Feeds a `TransformBuffer` from /tf and /tf_static."""

    def __init__(self, node: InputNode, cache_s: float) -> None:
        self._node = node
        self._buffer = TransformBuffer(cache_s)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", self._take, _MOVING_QOS),
            node.create_subscription(TFMessage, "/tf_static", self._take_static, _STATIC_QOS),
        ]

    def _take(self, message: TFMessage, static: bool = False) -> None:
        for stamped in message.transforms:
            try:
                self._buffer.add(transform_from_message(stamped), stamp_to_ns(stamped.header.stamp), static=static)
            except InputError as error:
                self._node.get_logger().warning(f"ignored a transform: {error}", throttle_duration_sec=5.0)

    def _take_static(self, message: TFMessage) -> None:
        self._take(message, static=True)

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Transform:
        """See `TransformBuffer.lookup`."""
        return self._buffer.lookup(target, source, stamp_ns)

    def newest_ns(self, target: str, source: str) -> int | None:
        """See `TransformBuffer.newest_ns`."""
        return self._buffer.newest_ns(target, source)

    def close(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


class Tf2Listener(TransformSource):
    """The buffer of tf2, with our types and errors."""

    def __init__(self, node: Any, cache_s: float, tf2_ros: Any) -> None:
        from rclpy.duration import Duration

        self._tf2_ros = tf2_ros
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=cache_s))
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Transform:
        """See `TransformBuffer.lookup`."""
        from rclpy.time import Time

        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns or 0))
        except self._tf2_ros.TransformException as error:
            kind = FrameError if self._is_past(error, target, source, stamp_ns) else NotYetKnownError
            raise kind(
                f"The transform {target}_T_{source} at the capture time is unknown",
                f"{error}; known frames: {', '.join(self._frames()) or 'none'}",
                "publish it on /tf or /tf_static, or ask for a known frame",
            ) from error
        return transform_from_message(found)

    def newest_ns(self, target: str, source: str) -> int | None:
        """See `TransformBuffer.newest_ns`."""
        try:
            return self._buffer.get_latest_common_time(target, source).nanoseconds or None
        except self._tf2_ros.TransformException:
            return None

    def _is_past(self, error: Exception, target: str, source: str, stamp_ns: int | None) -> bool:
        """Tell whether the stamp is older than the buffer: an extrapolation although newer transforms are known."""
        if stamp_ns is None or not isinstance(error, self._tf2_ros.ExtrapolationException):
            return False
        newest_ns = self.newest_ns(target, source)
        return newest_ns is not None and newest_ns >= stamp_ns

    def _frames(self) -> list[str]:
        import yaml

        tree = yaml.safe_load(self._buffer.all_frames_as_yaml())
        tree = tree if isinstance(tree, dict) else {}
        return sorted(set(tree) | {str(edge.get("parent")) for edge in tree.values() if isinstance(edge, dict)})

    def close(self) -> None:
        """End the subscriptions."""
        self._listener.unregister()


class TransformRelay:
    """Publishes the transforms of a recording on /tf and /tf_static."""

    def __init__(self, node: Any) -> None:
        self._moving = node.create_publisher(TFMessage, "/tf", _MOVING_QOS)
        self._static = node.create_publisher(TFMessage, "/tf_static", _STATIC_QOS)

    def __call__(self, message: TFMessage, static: bool) -> None:
        """Publish a message."""
        (self._static if static else self._moving).publish(message)


class StaticTransformSender:
    """Publishes constant transforms on /tf_static, also for late subscribers."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._publisher = node.create_publisher(TFMessage, "/tf_static", _STATIC_QOS)

    def send(self, parent_T_child: Transform) -> None:
        """Publish one transform, stamped with the node's time."""
        stamp_ns = self._node.get_clock().now().nanoseconds
        self._publisher.publish(TFMessage(transforms=[transform_to_message(parent_T_child, stamp_ns)]))
