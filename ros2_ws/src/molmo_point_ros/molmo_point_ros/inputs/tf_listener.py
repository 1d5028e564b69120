"""Transforms at the capture time, from /tf and /tf_static."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from tf2_msgs.msg import TFMessage

from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.text_checks import printable
from molmo_point_ros.conversions import stamp_to_ns, transform_from_message, transform_to_message
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.optical_frame import OpticalFrames
from molmo_point_ros.inputs.tf_buffer import ContradictionError, NotYetKnownError, TransformBuffer, TransformLimits

_MOVING_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
_STATIC_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_POLL_S = 0.01
_REFUSED, _REFUSED_S = 3, 10.0
"""Most transforms that were refused and that an error names, and the time for which it does."""
_REREAD_S = 5.0
"""Least time between two subscriptions to /tf_static."""


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

    def in_optical_frame(self, frame: RgbdFrame) -> RgbdFrame:
        """Return a frame in its optical frame; see `OpticalFrames.of`. Without knowledge it stays as it is."""
        return frame

    @abstractmethod
    def close(self) -> None:
        """End the subscriptions."""


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


class TransformListener(TransformSource):
    """Feeds a `TransformBuffer` from /tf and /tf_static.

    Args:
        node: Node of the subscriptions.
        now_ns: Time of the node, in nanoseconds.
        limits: Ages and gaps of the transforms that are used.
        optical_frame: Name of the optical frame of all images; "" judges the frame of every image.
        level_frame: Frame with z up; "" if none is known.
    """

    def __init__(
        self,
        node: InputNode,
        now_ns: Callable[[], int],
        limits: TransformLimits,
        optical_frame: str = "",
        level_frame: str = "",
    ) -> None:
        self._node = node

        def tell(words: str) -> None:
            node.get_logger().warning(printable(words))

        self._buffer = TransformBuffer(limits, now_ns, tell)
        self._optical = OpticalFrames(self._buffer, optical_frame, level_frame, tell)
        self._refused: deque[tuple[float, str]] = deque(maxlen=_REFUSED)
        self._reread_s, self._is_open = 0.0, True
        self._moving = node.create_subscription(TFMessage, "/tf", self._take, _MOVING_QOS)
        self._static = node.create_subscription(TFMessage, "/tf_static", self._take_static, _STATIC_QOS)

    def _take(self, message: TFMessage, static: bool = False) -> None:
        for stamped in message.transforms:
            try:
                self._buffer.add(transform_from_message(stamped), stamp_to_ns(stamped.header.stamp), static=static)
            except InputError as error:
                names = f"{stamped.header.frame_id[:80]!r} to {stamped.child_frame_id[:80]!r}"
                words = f"{names}: {error.what} ({error.given})"
                self._refused.append((time.monotonic(), words))
                self._node.get_logger().warning(f"refused the transform from {printable(words)}", throttle_duration_sec=5.0)

    def _take_static(self, message: TFMessage) -> None:
        self._take(message, static=True)

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Transform:
        """See `TransformBuffer.lookup`. The error names the transforms that were refused lately."""
        try:
            return self._buffer.lookup(target, source, stamp_ns)
        except FrameError as error:
            if isinstance(error, ContradictionError):
                self._read_static_again()
            lately = {words: None for at_s, words in tuple(self._refused) if time.monotonic() - at_s < _REFUSED_S}
            if not lately:
                raise
            raise type(error)(error.what, f"{error.given}; refused transform from {'; '.join(lately)}", error.fix) from error

    def in_optical_frame(self, frame: RgbdFrame) -> RgbdFrame:
        """See `OpticalFrames.of`."""
        return self._optical.of(frame)

    def optical_frame(self, name: str) -> str:
        """See `OpticalFrames.name`."""
        return self._optical.name(name)

    def _read_static_again(self) -> None:
        """Subscribe to /tf_static again: living publishers repeat their transforms, and the others lose a contradiction."""
        if time.monotonic() - self._reread_s >= _REREAD_S:
            self._reread_s = time.monotonic()
            self._node.call_soon(self._subscribe_again)

    def _subscribe_again(self) -> None:
        if self._is_open:
            self._node.destroy_subscription(self._static)
            self._buffer.question_static()
            self._static = self._node.create_subscription(TFMessage, "/tf_static", self._take_static, _STATIC_QOS)

    def newest_ns(self, target: str, source: str) -> int | None:
        """See `TransformBuffer.newest_ns`."""
        return self._buffer.newest_ns(target, source)

    def close(self) -> None:
        """End the subscriptions."""
        self._is_open = False
        self._node.destroy_subscription(self._moving)
        self._node.destroy_subscription(self._static)


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
