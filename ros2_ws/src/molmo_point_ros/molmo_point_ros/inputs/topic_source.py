"""Frames from image topics, joined by their capture times."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from molmo_point.camera.questions import SourceQuestions
from molmo_point.errors import DependencyError, DepthInputError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_cameras import depth_camera
from molmo_point_ros.conversions import DEPTH_UNIT, frame_from_messages, same_camera, stamp_to_ns
from molmo_point_ros.inputs.frame_sources import FrameSource
from molmo_point_ros.inputs.frame_wait import FrameWait, too_old
from molmo_point_ros.inputs.image_qos import LATCHED, image_qos
from molmo_point_ros.inputs.input_node import InputNode
from molmo_point_ros.inputs.qos_events import input_events, no_events
from molmo_point_ros.inputs.synchronizer import COLOR, DEPTH, INFO, SET_BACK_NS, MessageBundle, Stream, Synchronizer
from molmo_point_ros.nodes.goal_error import ErrorCode, GoalError
from molmo_point_ros.nodes.parameters import PointingNodeParameters

_MOST_TOPICS = 8
_SET_COMPRESSED = "set the parameter compressed, or publish the images raw"
_DECOMPRESS = "publish depth raw: ros2 run image_transport republish compressedDepth raw"


class TopicSource(FrameSource):
    """Frames from `color/image_raw`, `depth/image_raw` and `color/camera_info` (or `rgbd`), joined by stamp.

    A callback only stores the message; the images are converted when a frame is asked for.

    Raises:
        DependencyError: If `rgbd` is asked for and realsense2_camera_msgs is not installed.
    """

    def __init__(self, node: InputNode, parameters: PointingNodeParameters) -> None:
        self._node, self._parameters = node, parameters
        needed = (DEPTH, INFO) if parameters.use_depth else ()
        self._synchronizer = Synchronizer(parameters.max_skew_s, needed, same_info=same_camera)
        self._waiting = FrameWait()
        self._incompatible = self._received = 0
        self._noise = depth_camera(parameters.camera_model)
        qos = image_qos(parameters.reliable)
        self._subscriptions = {
            name: node.create_subscription(
                kind, topic, take, qos, event_callbacks=input_events(node, topic, self._count_incompatible)
            )
            for name, (kind, topic, take) in self._streams().items()
        }
        names = " ".join(each.topic_name for each in self._subscriptions.values())
        self._questions = SourceQuestions(node.get_logger().warning, "image topics", DEPTH_UNIT, names)
        self._latched = self._depth_infos = None
        self._depth_info: CameraInfo | None = None
        if INFO in self._subscriptions:
            self._subscribe_to_depth_info(qos)
            # A camera info may have been latched before this node came up.
            topic, take = "color/camera_info", self._taker(INFO)
            self._latched = node.create_subscription(CameraInfo, topic, take, LATCHED, event_callbacks=no_events())

    def _subscribe_to_depth_info(self, qos: Any) -> None:
        """Subscribe to the camera info next to the depth images, unless it is that of the color images."""
        images = self._subscriptions[DEPTH].topic_name.removesuffix("/compressedDepth")
        topic = f"{images.rpartition('/')[0]}/camera_info"
        if topic != self._subscriptions[INFO].topic_name:
            take = self._take_depth_info
            self._depth_infos = self._node.create_subscription(CameraInfo, topic, take, qos, event_callbacks=no_events())

    def _take_depth_info(self, message: CameraInfo) -> None:
        self._depth_info = message

    def _streams(self) -> dict[Stream, tuple[Any, str, Callable[[Any], None]]]:
        """Return type, topic and callback of every subscription, by its stream."""
        if self._parameters.rgbd:
            return {COLOR: (import_rgbd(), "rgbd", self._take_rgbd)}
        kind, topic = (
            (CompressedImage, "color/image_raw/compressed") if self._parameters.compressed else (Image, "color/image_raw")
        )
        streams: dict[Stream, tuple[Any, str, Callable[[Any], None]]] = {COLOR: (kind, topic, self._taker(COLOR))}
        if self._parameters.use_depth:
            streams[DEPTH] = (Image, "depth/image_raw", self._taker(DEPTH))
            streams[INFO] = (CameraInfo, "color/camera_info", self._taker(INFO))
        return streams

    def _taker(self, stream: Stream) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._received += stream == COLOR
            if self._synchronizer.add(stream, stamp_to_ns(message.header.stamp), message):
                # Waiting threads wake up for a complete frame only; woken for each part, they would delay the next one.
                self._waiting.wake()

        return take

    def _take_rgbd(self, message: Any) -> None:
        self._received += 1
        self._depth_info = message.depth_camera_info
        for stream, part in ((INFO, message.rgb_camera_info), (DEPTH, message.depth), (COLOR, message.rgb)):
            self._synchronizer.add(stream, stamp_to_ns(part.header.stamp), part)
        self._waiting.wake()

    def _count_incompatible(self) -> None:
        self._incompatible += 1

    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.frame`."""
        bundle = self._waiting.until(lambda: self._synchronizer.newest(after_ns), timeout_s, should_stop)
        if bundle is None:
            if should_stop():
                return None
            raise self._reason(after_ns, timeout_s)
        return self._converted(bundle)

    def newer(self, than_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.newer`."""

        def found() -> MessageBundle | None:
            newest_ns = self._synchronizer.newest_stamp_ns()
            set_back = newest_ns is not None and newest_ns < than_ns - SET_BACK_NS
            return self._synchronizer.newest(0 if set_back else than_ns + 1)

        bundle = self._waiting.until(found, timeout_s, should_stop)
        return None if bundle is None else self._converted(bundle)

    def at(self, stamp_ns: int) -> RgbdFrame | None:
        """See `FrameSource.at`."""
        bundle = self._synchronizer.at(stamp_ns)
        return None if bundle is None else self._converted(bundle)

    def received(self) -> int:
        """See `FrameSource.received`."""
        return self._received

    def dropped(self) -> dict[str, int]:
        """See `FrameSource.dropped`."""
        unstamped = {f"{stream.value} without stamp": number for stream, number in self._synchronizer.unstamped().items()}
        return {**unstamped, "color images without partners": self._synchronizer.lonely()}

    def incompatible_publishers(self) -> int:
        """See `FrameSource.incompatible_publishers`."""
        return self._incompatible

    def _converted(self, bundle: MessageBundle) -> RgbdFrame:
        parameters = self._parameters
        try:
            frame = frame_from_messages(
                bundle.color,
                bundle.depth if parameters.use_depth else None,
                bundle.info if parameters.use_depth else None,
                depth_unit_m=parameters.depth_unit_m,
                rectified=parameters.rectified,
                max_px=parameters.max_image_px,
                depth_info=self._depth_info,
            )
        except InputError as error:
            code = ErrorCode.NO_DEPTH if isinstance(error, DepthInputError) else ErrorCode.NO_IMAGE
            raise GoalError(code, error.what, error.given, error.fix) from error
        noise = self._noise or frame.depth_noise
        return self._questions.ask(dataclasses.replace(frame, depth_noise=noise, rotate_deg=parameters.rotate))

    def _reason(self, after_ns: int, timeout_s: float) -> GoalError:
        missing, skew_s = self._synchronizer.missing(), self._synchronizer.skew_s()
        waited = f"within {timeout_s:g} s"
        if missing:
            stream = missing[0]
            topic = self._subscriptions.get(stream, self._subscriptions[COLOR]).topic_name
            count = self._node.count_publishers(topic)
            unstamped = self._synchronizer.unstamped().get(stream, 0)
            like = self._node.topics_like(topic)[:_MOST_TOPICS]
            seen = ", ".join(like) or "no topic of this type"
            given = f"{topic} with {count} publishers, {unstamped} messages without a stamp, {waited}; seen instead: {seen}"
            code = ErrorCode.NO_IMAGE if stream == COLOR else ErrorCode.NO_DEPTH
            fix = "start the camera, remap the topic, or stamp the messages"
            if any(name.startswith(f"{topic}/") for name in like):
                fix = _SET_COMPRESSED if stream == COLOR else _DECOMPRESS
            return GoalError(code, f"No {stream.value} has arrived", given, fix)
        limit = self._parameters.max_skew_s
        late = {name: value for name, value in skew_s.items() if abs(value) > limit}
        if late:
            measured = ", ".join(f"{name.value} {value * 1e3:+.1f} ms" for name, value in late.items())
            fix = "let the camera synchronize its streams, or raise max_skew_s if the camera stands still"
            return GoalError(
                ErrorCode.SYNC_ERROR,
                "No color and depth of one moment have arrived",
                f"measured skew to color: {measured}, allowed {limit * 1e3:.1f} ms, {waited}",
                fix,
            )
        unstamped = sum(self._synchronizer.unstamped().values())
        waited += f"; {unstamped} messages had no stamp" if unstamped else ""
        return too_old(self._synchronizer.newest_stamp_ns(), after_ns, waited)

    def close(self) -> None:
        """See `FrameSource.close`."""
        others = [each for each in (self._latched, self._depth_infos) if each is not None]
        for subscription in (*self._subscriptions.values(), *others):
            self._node.destroy_subscription(subscription)


def import_rgbd() -> Any:
    """Return the message type realsense2_camera_msgs/RGBD.

    Raises:
        DependencyError: If it is not installed.
    """
    try:
        return importlib.import_module("realsense2_camera_msgs.msg").RGBD
    except ImportError as error:
        raise DependencyError(
            "The parameter rgbd needs realsense2_camera_msgs",
            str(error),
            "apt-get install ros-$ROS_DISTRO-realsense2-camera-msgs, or set rgbd to false and remap the image topics",
        ) from error
