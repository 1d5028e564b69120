"""Where the pointing node's frames come from: image topics, or a camera of its own. Waiting never holds up a callback."""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.callback_groups import CallbackGroup
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.cameras import CameraReader, open_camera
from molmo_point_ros.conversions import frame_from_messages, stamp_to_ns
from molmo_point_ros.goal_error import CODES, GoalError
from molmo_point_ros.image_qos import image_qos
from molmo_point_ros.parameters import PointingSettings
from molmo_point_ros.synchronizer import COLOR, DEPTH, INFO, Synchronizer

_CHECK_S = 0.05


class FrameSource(Protocol):
    """What the node asks for frames."""

    pose: Transform | None

    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """The newest complete frame captured at `after_ns` or later, waiting for it; None when told to stop.

        Raises:
            GoalError: NO_IMAGE, NO_DEPTH or SYNC_ERROR, when there is none in time.
        """
        ...

    def close(self) -> None:
        """End the subscriptions, or the camera."""
        ...


class _Waiting:
    """Wakes whoever waits for something when something may have come."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def wake(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def until(self, found: Callable[[], Any], timeout_s: float, should_stop: Callable[[], bool]) -> Any:
        """What `found` returns as soon as it is not None; None after the time, or when told to stop."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._condition:
                value = found()
                left = deadline - time.monotonic()
                if value is not None or left <= 0 or should_stop():
                    return value
                self._condition.wait(min(left, _CHECK_S))


class TopicSource:
    """Frames from `color/image_raw`, `depth/image_raw` and `color/camera_info`, joined by stamp.

    A callback only stores the message; the images are converted when a goal wants them.
    """

    pose = None

    def __init__(self, node: Any, settings: PointingSettings, group: CallbackGroup) -> None:
        self._node, self._settings = node, settings
        self._synchronizer = Synchronizer(settings.max_skew_s, (DEPTH, INFO) if settings.use_depth else ())
        self._waiting = _Waiting()
        color = (CompressedImage, "color/image_raw/compressed") if settings.compressed else (Image, "color/image_raw")
        streams = {COLOR: color, DEPTH: (Image, "depth/image_raw"), INFO: (CameraInfo, "color/camera_info")}
        if not settings.use_depth:
            streams = {COLOR: color}
        qos = image_qos(settings.reliable)
        self._subscriptions = {
            name: node.create_subscription(kind, topic, self._taker(name), qos, callback_group=group)
            for name, (kind, topic) in streams.items()
        }

    def _taker(self, stream: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._synchronizer.add(stream, stamp_to_ns(message.header.stamp), message)
            self._waiting.wake()

        return take

    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.frame`."""
        bundle = self._waiting.until(lambda: self._synchronizer.newest(after_ns), timeout_s, should_stop)
        if bundle is None:
            if should_stop():
                return None
            raise self._reason(after_ns, timeout_s)
        settings = self._settings
        try:
            return frame_from_messages(
                bundle.color, bundle.depth, bundle.info, depth_unit_m=settings.depth_unit_m, rectified=settings.rectified
            )
        except InputError as error:
            about_depth = any(word in error.what.lower() for word in ("depth", "info", "intrinsics", "distortion", "focal"))
            code = CODES.NO_DEPTH if about_depth else CODES.NO_IMAGE
            raise GoalError(code, error.what, error.given, error.fix) from error

    def _reason(self, after_ns: int, timeout_s: float) -> GoalError:
        missing, skew_s = self._synchronizer.missing(), self._synchronizer.skew_s()
        waited = f"within {timeout_s:g} s"
        if missing:
            stream = missing[0]
            topic = self._subscriptions[stream].topic_name
            count = self._node.count_publishers(topic)
            unstamped = self._synchronizer.unstamped().get(stream, 0)
            given = f"{topic} with {count} publishers, {unstamped} messages without a stamp, {waited}"
            code = CODES.NO_IMAGE if stream == COLOR else CODES.NO_DEPTH
            return GoalError(code, f"No {stream} has come", given, "start the camera, remap the topic, or stamp the messages")
        limit = self._settings.max_skew_s
        late = {name: value for name, value in skew_s.items() if abs(value) > limit}
        if late:
            measured = ", ".join(f"{name} {value * 1e3:+.1f} ms" for name, value in late.items())
            fix = "let the camera synchronise its streams, or raise max_skew_s if the camera stands still"
            return GoalError(
                CODES.SYNC_ERROR,
                "Colour and depth of one moment could not be had",
                f"measured skew to colour: {measured}, allowed {limit * 1e3:.1f} ms, {waited}",
                fix,
            )
        return _too_old(self._synchronizer.newest_stamp_ns(), after_ns, waited)

    def close(self) -> None:
        """See `FrameSource.close`."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)


class CameraSource:
    """Frames from a camera that the node opens itself; the newest is kept.

    Raises:
        MolmoPointError: If the camera cannot be opened.
    """

    def __init__(self, node: Any, settings: PointingSettings) -> None:
        self._settings = settings
        self._waiting = _Waiting()
        self._newest: RgbdFrame | None = None
        self._error = "none"
        self._logger = node.get_logger()
        clock = node.get_clock()
        self._reader = CameraReader(lambda: open_camera(settings, lambda: clock.now().nanoseconds), self._take, self._failed)
        self._reader.start()
        self.pose = self._reader.pose

    def _take(self, frame: RgbdFrame) -> None:
        self._newest = frame
        self._waiting.wake()

    def _failed(self, error: Exception) -> None:
        self._error = str(error)
        self._logger.warning(f"camera: {error}", throttle_duration_sec=5.0)

    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.frame`."""

        def found() -> RgbdFrame | None:
            frame = self._newest
            return frame if frame is not None and frame.stamp_ns >= after_ns else None

        frame = self._waiting.until(found, timeout_s, should_stop)
        if frame is None and not should_stop():
            newest = None if self._newest is None else self._newest.stamp_ns
            raise _too_old(newest, after_ns, f"within {timeout_s:g} s; last error of the camera: {self._error}")
        return frame

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._reader.close()


def open_source(node: Any, settings: PointingSettings, group: CallbackGroup) -> FrameSource:
    """The source that the parameter `camera` names."""
    return TopicSource(node, settings, group) if settings.camera == "topics" else CameraSource(node, settings)


def _too_old(newest_ns: int | None, after_ns: int, waited: str) -> GoalError:
    if newest_ns is None:
        return GoalError(CODES.NO_IMAGE, "The camera has delivered no image", waited, "look at the camera")
    age = f"newest image {(after_ns - newest_ns) * 1e-9:.3f} s too old, {waited}"
    fix = "start the camera, synchronise its clock with this node's, or send the goal with use_next_image false"
    return GoalError(CODES.NO_IMAGE, "No image was captured late enough", age, fix)
