"""A rosbag2 recording (MCAP or SQLite) as a camera: its images joined by stamp, its transforms handed on by the way."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from molmo_point.depth.lift import MAX_SKEW_S
from molmo_point.errors import CameraError, DependencyError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point_ros.conversions import frame_from_messages, stamp_from_ns, stamp_to_ns
from molmo_point_ros.inputs.synchronizer import COLOR, DEPTH, INFO, Synchronizer

KINDS = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    "tf2_msgs/msg/TFMessage": TFMessage,
}
OnTransforms = Callable[[TFMessage, bool], None]


def import_rosbag2() -> Any:
    """The module rosbags.rosbag2.

    Raises:
        DependencyError: If rosbags is not installed.
    """
    try:
        import rosbags.rosbag2
    except ImportError as error:
        raise DependencyError(
            "Recordings of ROS 2 need the package rosbags", str(error), "pip install 'molmo-point[bag]'"
        ) from error
    return rosbags.rosbag2


class BagCamera:
    """Frames of a recording, at the rate at which they were recorded.

    Args:
        path: Folder of a rosbag2 recording, or a single .mcap or .db3 file.
        color_topic: Colour images, raw or compressed; "" takes the only topic that looks like it.
        depth_topic: Depth aligned to colour; likewise; a recording may have none.
        info_topic: Camera info of colour; "" takes the one beside the colour topic.
        loop: Begin again at the end.
        clock_ns: Gives frames and transforms the time of now; None leaves their own, later by its length in each round.
        on_transforms: Called with every message of /tf and /tf_static (then with True), stamps as those of the frames.
        realtime: False hands frames out as fast as they are read.

    Raises:
        DependencyError: If rosbags is not installed.
        InputError: If it is no recording, or there is no topic, or more than one, that could be meant.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        color_topic: str = "",
        depth_topic: str = "",
        info_topic: str = "",
        loop: bool = True,
        clock_ns: Callable[[], int] | None = None,
        on_transforms: OnTransforms | None = None,
        realtime: bool = True,
    ) -> None:
        rosbag2 = import_rosbag2()
        self.path = Path(path)
        try:
            self._reader = rosbag2.Reader(self.path)
            self._reader.open()
        except Exception as error:
            fix = "give the folder of a rosbag2 recording, or its .mcap or .db3 file"
            raise InputError("This is no recording of ROS 2 that can be read", f"{path} ({error})", fix) from error
        self._transforms = {"/tf": False, "/tf_static": True} if on_transforms is not None else {}
        self._on_transforms = on_transforms or (lambda message, static: None)
        self._loop, self._clock_ns, self._realtime = loop, clock_ns, realtime
        try:
            self._streams = _streams(self._reader.connections, color_topic, depth_topic, info_topic)
            wanted = {*self._streams, *self._transforms}
            self._connections = [each for each in self._reader.connections if each.topic in wanted and each.msgtype in KINDS]
            self._first_ns, self._first_log_ns = self._first_image()
        except BaseException:
            self._reader.close()
            raise
        self._length_ns = self._reader.end_time - self._reader.start_time
        self._round = 0
        self._last_ns = 0
        self._closed = False
        self._begin()

    def _first_image(self) -> tuple[int, int]:
        """Capture time and time of recording of the first colour image."""
        color = next(topic for topic, stream in self._streams.items() if stream == COLOR)
        connections = [each for each in self._connections if each.topic == color]
        for connection, log_ns, raw in self._reader.messages(connections):
            message = deserialize_message(raw, KINDS[connection.msgtype])
            return stamp_to_ns(message.header.stamp), log_ns
        raise InputError(
            "The recording has no colour image", f"{self.path}, topic {color}", "record again, or name another topic"
        )

    def _begin(self) -> None:
        """The first message of a round, and what to add to its stamps."""
        self._messages: Iterator[Any] = self._reader.messages(self._connections)
        self._held: Any = None
        self._synchronizer = Synchronizer(MAX_SKEW_S, tuple(stream for stream in self._streams.values() if stream != COLOR))
        self._started_s = time.monotonic()
        self._last_ns = 0
        if self._clock_ns is None:
            self._shift_ns = self._round * (self._length_ns + 1)
        else:
            self._shift_ns = self._clock_ns() - self._first_ns + (self._first_log_ns - self._reader.start_time)

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """The next frame: a colour image with the depth and the camera info of its moment.

        Raises:
            CameraError: If the camera is closed, the recording is at its end, or no frame is due in time.
            InputError: If the images cannot be used.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            if self._closed:
                raise CameraError("The recording is closed", str(self.path), "read before close()")
            message = self._next(deadline_s)
            stream = self._streams.get(message[0])
            if stream is None:
                self._hand_on(message)
                continue
            self._synchronizer.add(stream, stamp_to_ns(message[1].header.stamp), message[1])
            bundle = self._synchronizer.newest(self._last_ns + 1)
            if bundle is not None:
                self._last_ns = bundle.stamp_ns
                return self._shifted(bundle)

    def _next(self, deadline_s: float) -> tuple[str, Any]:
        """Topic and message, when it is due."""
        if self._held is None:
            self._held = next(self._messages, None)
        if self._held is None:
            if not self._loop:
                raise CameraError("The recording is at its end", str(self.path), "replay it with loop=True")
            self._round += 1
            self._begin()
            return self._next(deadline_s)
        connection, log_ns, raw = self._held
        wait_s = self._started_s + (log_ns - self._reader.start_time) * 1e-9 - time.monotonic()
        if self._realtime and wait_s > 0:
            left_s = deadline_s - time.monotonic()
            time.sleep(max(min(wait_s, left_s), 0.0))
            if wait_s > left_s:
                raise CameraError("No frame came in time", f"next message in {wait_s - left_s:.3f} s", "raise timeout_s")
        self._held = None
        try:
            return connection.topic, deserialize_message(raw, KINDS[connection.msgtype])
        except Exception as error:
            given = f"{connection.topic} of {self.path}, {len(raw)} bytes ({error})"
            raise InputError("A message of the recording cannot be read", given, "record again") from error

    def _hand_on(self, message: tuple[str, Any]) -> None:
        static = self._transforms[message[0]]
        for each in message[1].transforms:
            each.header.stamp = stamp_from_ns(max(stamp_to_ns(each.header.stamp) + self._shift_ns, 0))
        self._on_transforms(message[1], static)

    def _shifted(self, bundle: Any) -> RgbdFrame:
        for part in (bundle.color, bundle.depth, bundle.info):
            if part is not None and self._shift_ns:
                part.header.stamp = stamp_from_ns(stamp_to_ns(part.header.stamp) + self._shift_ns)
        return frame_from_messages(bundle.color, bundle.depth, bundle.info)

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        if not self._closed:
            self._closed = True
            self._reader.close()

    def __enter__(self) -> "BagCamera":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _streams(connections: list[Any], color: str, depth: str, info: str) -> dict[str, str]:
    """Which stream each topic is, chosen where it is not named."""
    kinds = {each.topic: each.msgtype for each in connections}
    images = [topic for topic, kind in kinds.items() if kind in ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")]
    infos = [topic for topic, kind in kinds.items() if kind == "sensor_msgs/msg/CameraInfo"]
    depths = [topic for topic in images if "depth" in topic]
    aligned = [topic for topic in depths if "aligned" in topic]
    colors = [topic for topic in images if topic not in depths and "infra" not in topic and "annotated" not in topic]
    raw = [topic for topic in colors if not topic.endswith("compressed")]
    color = _chosen("color", color, raw or colors, kinds)
    if not color:
        raise InputError("The recording has no topic with colour images", _listed(kinds), "set bag_color_topic")
    depth = _chosen("depth", depth, aligned or depths, kinds)
    beside = color.removesuffix("/compressed").rpartition("/")[0]
    info = _chosen("info", info, [topic for topic in infos if topic.rpartition("/")[0] == beside], kinds)
    streams = {color: COLOR}
    if depth and info:
        streams |= {depth: DEPTH, info: INFO}
    return streams


def _chosen(name: str, given: str, candidates: list[str], kinds: dict[str, str]) -> str:
    if given and given not in kinds:
        raise InputError(f"The recording has no topic {given!r}", _listed(kinds), f"set bag_{name}_topic to one of these")
    if given or len(candidates) < 2:
        return given or next(iter(candidates), "")
    raise InputError(f"Several topics could be meant for {name}", ", ".join(candidates), f"set bag_{name}_topic to one of these")


def _listed(kinds: dict[str, str]) -> str:
    return "; ".join(f"{topic} ({kind})" for topic, kind in sorted(kinds.items())) or "no topics at all"
