"""A rosbag2 recording (MCAP or SQLite) as a camera: images joined by stamp, and its transforms."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from molmo_point.camera.base import Camera, shift_stamps, wait_until_due
from molmo_point.camera.replay import ReplayEnded
from molmo_point.depth.lift import MAX_SKEW_S
from molmo_point.errors import DependencyError, InputError
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
    """Import the module rosbags.rosbag2.

    Raises:
        DependencyError: rosbags is not installed.
    """
    try:
        import rosbags.rosbag2
    except ImportError as error:
        raise DependencyError(
            "Recordings of ROS 2 need the package rosbags", str(error), "pip install 'molmo-point[bag]'"
        ) from error
    return rosbags.rosbag2


class BagCamera(Camera):
    """Frames of a recording, at the rate at which they were recorded.

    In a loop, stamps keep growing by the length of the recording for each round.

    Args:
        bag: Folder of a rosbag2 recording, or a single .mcap or .db3 file.
        color_topic: Color images, raw or compressed; "" takes the only topic that fits.
        depth_topic: Depth aligned to color; "" takes the only topic that fits, if there is one.
        info_topic: Camera info of color; "" takes the topic next to the color topic.
        realtime: Hand frames out at the rate at which they were recorded; otherwise as fast as they are read.
        loop: Start again at the end.
        on_transforms: Called with every message of /tf and /tf_static (then with True), stamped like the frames.

    Raises:
        DependencyError: rosbags is not installed.
        InputError: The path holds no recording, or no topic, or more than one topic, fits.
    """

    replays: ClassVar[bool] = True

    def __init__(
        self,
        bag: str | Path,
        *,
        color_topic: str = "",
        depth_topic: str = "",
        info_topic: str = "",
        realtime: bool = True,
        loop: bool = True,
        on_transforms: OnTransforms | None = None,
    ) -> None:
        rosbag2 = import_rosbag2()
        self.path, self.name = Path(bag), str(bag)
        try:
            self._reader = rosbag2.Reader(self.path)
            self._reader.open()
        except Exception as error:
            fix = "give the folder of a rosbag2 recording, or its .mcap or .db3 file"
            raise InputError("The path must hold a recording of ROS 2", f"{bag} ({error})", fix) from error
        self._transforms = {"/tf": False, "/tf_static": True} if on_transforms is not None else {}
        self._on_transforms = on_transforms or (lambda message, static: None)
        self._loop, self._realtime = loop, realtime
        self._clock_ns: Callable[[], int] | None = None
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
        self._begin()

    def stamped_by(self, clock_ns: Callable[[], int]) -> "BagCamera":
        """Start again with frames and transforms stamped by a clock. See `Camera.stamped_by`."""
        self._clock_ns = clock_ns
        self._begin()
        return self

    def _first_image(self) -> tuple[int, int]:
        """Return the capture time and the time of recording of the first color image."""
        color = next(topic for topic, stream in self._streams.items() if stream == COLOR)
        connections = [each for each in self._connections if each.topic == color]
        for connection, log_ns, raw in self._reader.messages(connections):
            message = deserialize_message(raw, KINDS[connection.msgtype])
            return stamp_to_ns(message.header.stamp), log_ns
        given = f"{self.path}, topic {color}"
        raise InputError("A recording must hold a color image", given, "record again, or name another topic")

    def _begin(self) -> None:
        """Go to the first message of a round, and compute the shift of its stamps."""
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
        """Read the next frame: a color image with the depth and the camera info of its capture.

        Raises:
            CameraError: The camera is closed, the recording is at its end, or no frame is due in time.
            InputError: The images cannot be used.
        """
        self.check_open()
        deadline_s = time.monotonic() + timeout_s
        while True:
            message = self._next(deadline_s)
            stream = self._streams.get(message[0])
            if stream is None:
                self._hand_on(message)
                continue
            self._synchronizer.add(stream, stamp_to_ns(message[1].header.stamp), message[1])
            bundle = self._synchronizer.newest(self._last_ns + 1)
            if bundle is not None:
                self._last_ns = bundle.stamp_ns
                return shift_stamps(frame_from_messages(bundle.color, bundle.depth, bundle.info), self._shift_ns)

    def _next(self, deadline_s: float) -> tuple[str, Any]:
        """Wait until the next message is due, and return its topic and the message."""
        if self._held is None:
            self._held = next(self._messages, None)
        if self._held is None:
            if not self._loop:
                raise ReplayEnded("The replay is at its end", self.name, "open it again, or with loop=true")
            self._round += 1
            self._begin()
            return self._next(deadline_s)
        connection, log_ns, raw = self._held
        if self._realtime:
            due_s = self._started_s + (log_ns - self._reader.start_time) * 1e-9
            wait_until_due(due_s, max(deadline_s - time.monotonic(), 0.0))
        self._held = None
        try:
            return connection.topic, deserialize_message(raw, KINDS[connection.msgtype])
        except Exception as error:
            given = f"{connection.topic} of {self.path}, {len(raw)} bytes ({error})"
            raise InputError("The messages of a recording must be readable", given, "record again") from error

    def _hand_on(self, message: tuple[str, Any]) -> None:
        static = self._transforms[message[0]]
        for each in message[1].transforms:
            each.header.stamp = stamp_from_ns(max(stamp_to_ns(each.header.stamp) + self._shift_ns, 0))
        self._on_transforms(message[1], static)

    def release(self) -> None:
        """Close the file."""
        self._reader.close()


def _streams(connections: list[Any], color: str, depth: str, info: str) -> dict[str, str]:
    """Map the topics to their streams; a topic that is not named is chosen."""
    kinds = {each.topic: each.msgtype for each in connections}
    images = [topic for topic, kind in kinds.items() if kind in ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")]
    infos = [topic for topic, kind in kinds.items() if kind == "sensor_msgs/msg/CameraInfo"]
    depths = [topic for topic in images if "depth" in topic]
    aligned = [topic for topic in depths if "aligned" in topic]
    colors = [topic for topic in images if topic not in depths and "infra" not in topic and "annotated" not in topic]
    raw = [topic for topic in colors if not topic.endswith("compressed")]
    color = _chosen("color", color, raw or colors, kinds)
    if not color:
        raise InputError("A recording must have a topic with color images", _listed(kinds), "record them, or set color_topic")
    depth = _chosen("depth", depth, aligned or depths, kinds)
    beside = color.removesuffix("/compressed").rpartition("/")[0]
    info = _chosen("info", info, [topic for topic in infos if topic.rpartition("/")[0] == beside], kinds)
    streams = {color: COLOR}
    if depth and info:
        streams |= {depth: DEPTH, info: INFO}
    return streams


def _chosen(name: str, given: str, candidates: list[str], kinds: dict[str, str]) -> str:
    fix = f"set {name}_topic to one of these; as a ROS parameter, bag_{name}_topic"
    if given and given not in kinds:
        raise InputError(f"{name}_topic must be a topic of the recording", f"{given!r}; topics: {_listed(kinds)}", fix)
    if given or len(candidates) < 2:
        return given or next(iter(candidates), "")
    raise InputError(
        f"{name}_topic must be given if several topics fit", ", ".join(candidates), f"set {name}_topic to one of these"
    )


def _listed(kinds: dict[str, str]) -> str:
    return "; ".join(f"{topic} ({kind})" for topic, kind in sorted(kinds.items())) or "no topics at all"
