"""A rosbag2 recording (MCAP or SQLite) as a camera: images joined by stamp, and its transforms."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message
from tf2_msgs.msg import TFMessage

from molmo_point.camera.bag_magic import is_realsense_bag, is_ros1_bag
from molmo_point.camera.base import Camera, shift_stamps, wait_until_due
from molmo_point.camera.questions import SourceQuestions
from molmo_point.camera.replay import ReplayEnded
from molmo_point.errors import CameraError, DependencyError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point_ros.conversions import DEPTH_UNIT, frame_from_messages, same_camera, stamp_from_ns, stamp_to_ns
from molmo_point_ros.inputs.bag_topics import KINDS, choose_topics
from molmo_point_ros.inputs.synchronizer import COLOR, DEPTH, INFO, Stream, Synchronizer

_READ = {**KINDS, "tf2_msgs/msg/TFMessage": TFMessage}
_LOG = logging.getLogger(__name__)
_PATIENCE = 5
"""Color images in a row without depth or camera info, after which an error tells the reason."""
MAX_SKEW_S = 0.0167
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


def open_reader(path: Path) -> tuple[Any, Callable[[bytes, str], bytes]]:
    """Return a reader of a bag of ROS 2 or ROS 1, and the function that makes its messages those of ROS 2.

    Raises:
        DependencyError: rosbags is not installed.
        InputError: The file is a recording of librealsense.
    """
    rosbag2 = import_rosbag2()
    if not is_ros1_bag(path):
        return rosbag2.Reader(path), lambda raw, kind: raw
    if is_realsense_bag(path):
        raise InputError("The bag must be one of ROS", f"{path} is a recording of librealsense", f"open realsense_bag:{path}")
    from rosbags import rosbag1, typesys

    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    return rosbag1.Reader(path), lambda raw, kind: bytes(store.ros1_to_cdr(raw, kind))


class BagCamera(Camera):
    """Frames of a recording, at the rate at which they were recorded.

    In a loop, stamps keep growing by the length of the recording for each round.

    Args:
        bag: Folder of a rosbag2 recording, a single .mcap or .db3 file, or a .bag file of ROS 1.
        color_topic: Color images, raw or compressed; "" takes the only topic that fits.
        depth_topic: Depth aligned to color; "" takes the only topic that fits, if there is one; "none" takes none.
        info_topic: Camera info of color; "" takes the topic next to the color topic, or the one of its frame.
        realtime: Hand frames out at the rate at which they were recorded; otherwise as fast as they are read.
        loop: Start again at the end.
        depth_unit_m: Size of one unit of 16UC1 depth, in meters.
        rectified: True for rectified images: P of the camera info is used, without distortion.
        max_skew_s: Largest time between color and depth, in seconds.
        on_transforms: Called with every message of /tf and /tf_static (then with True), stamped like the frames.

    Raises:
        DependencyError: rosbags is not installed.
        InputError: The path holds no recording, no topic or more than one topic fits, or its depth cannot be used.
    """

    replays = True

    def __init__(
        self,
        bag: str | Path,
        *,
        color_topic: str = "",
        depth_topic: str = "",
        info_topic: str = "",
        realtime: bool = True,
        loop: bool = True,
        depth_unit_m: float = 0.001,
        rectified: bool = False,
        max_skew_s: float = MAX_SKEW_S,
        on_transforms: OnTransforms | None = None,
    ) -> None:
        self.path, self.name = Path(bag), str(bag)
        try:
            self._reader, self._to_cdr = open_reader(self.path)
            self._reader.open()
        except DependencyError:
            raise
        except Exception as error:
            fix = "give the folder of a rosbag2 recording, or its .mcap, .db3 or .bag file"
            raise InputError("The path must hold a recording of ROS 2", f"{bag} ({error})", fix) from error
        self._transforms = {"/tf": False, "/tf_static": True} if on_transforms is not None else {}
        self._on_transforms = on_transforms or (lambda message, static: None)
        self._loop, self._realtime = loop, realtime
        self._depth_unit_m, self._rectified, self._max_skew_s = depth_unit_m, rectified, max_skew_s
        self._clock_ns: Callable[[], int] | None = None
        self._firsts: dict[str, tuple[int, Any]] = {}
        try:
            self._open_streams(color_topic, depth_topic, info_topic)
        except BaseException:
            self._reader.close()
            raise
        self._questions = SourceQuestions(_LOG.warning, self.name, DEPTH_UNIT, " ".join(self._streams))
        self._length_ns = self._reader.end_time - self._reader.start_time
        self._round = 0
        self._last_ns = 0
        self._why: CameraError | None = None
        self._begin()

    def _open_streams(self, color: str, depth: str, info: str) -> None:
        """Choose the topics, and look at their first messages."""
        kinds = {each.topic: each.msgtype for each in self._reader.connections}
        topics = choose_topics(kinds, lambda topic: self._first(topic)[1], color, depth, info)
        streams = {topics.color: COLOR, topics.depth: DEPTH, topics.info: INFO}
        self._streams: dict[str, Stream] = {topic: stream for topic, stream in streams.items() if topic}
        wanted = {*self._streams, *self._transforms}
        self._connections = [each for each in self._reader.connections if each.topic in wanted and each.msgtype in _READ]
        self._first_log_ns, first_color = self._first(topics.color)
        if first_color is None:
            given = f"{self.path}, topic {topics.color}"
            raise InputError("A recording must hold a color image", given, "record again, or name another topic")
        self._first_ns = stamp_to_ns(first_color.header.stamp)
        self._first_info = self._first(topics.info)[1] if topics.info else None
        self._depth_info = self._first(topics.depth_info)[1] if topics.depth_info else None
        self._firsts.clear()

    def stamped_by(self, clock_ns: Callable[[], int]) -> "BagCamera":
        """Start again with frames and transforms stamped by a clock. See `Camera.stamped_by`."""
        self._clock_ns = clock_ns
        self._begin()
        return self

    def _first(self, topic: str) -> tuple[int, Any]:
        """Return the time of recording of a topic's first message, and the message; None if it has none or is not read."""
        if topic not in self._firsts:
            connections = [each for each in self._reader.connections if each.topic == topic and each.msgtype in _READ]
            found = next(iter(self._reader.messages(connections)), None) if connections else None
            self._firsts[topic] = (0, None) if found is None else (found[1], self._decoded(*found))
        return self._firsts[topic]

    def _decoded(self, connection: Any, log_ns: int, raw: bytes) -> Any:
        try:
            return deserialize_message(self._to_cdr(raw, connection.msgtype), _READ[connection.msgtype])
        except Exception as error:
            given = f"{connection.topic} of {self.path}, {len(raw)} bytes ({error})"
            raise InputError("The messages of a recording must be readable", given, "record again") from error

    def _begin(self) -> None:
        """Go to the first message of a round, and compute the shift of its stamps."""
        self._messages: Iterator[Any] = self._reader.messages(self._connections)
        self._held: Any = None
        needed = tuple(stream for stream in self._streams.values() if stream != COLOR)
        self._synchronizer = Synchronizer(self._max_skew_s, needed, same_info=same_camera)
        if self._first_info is not None:
            # Without a stamp: it holds for the images before it too.
            self._synchronizer.add(INFO, 0, self._first_info)
        self._alone, self._is_barren = 0, True
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
            try:
                message = self._next(deadline_s)
            except ReplayEnded:
                raise
            except CameraError as error:
                if self._alone >= _PATIENCE:
                    self._why = self._reason()
                raise self._why or error from error
            stream = self._streams.get(message[0])
            if stream is None:
                self._hand_on(message)
                continue
            self._alone += stream == COLOR
            self._synchronizer.add(stream, stamp_to_ns(message[1].header.stamp), message[1])
            bundle = self._synchronizer.newest(self._last_ns + 1)
            if bundle is not None:
                self._last_ns, self._alone, self._why, self._is_barren = bundle.stamp_ns, 0, None, False
                frame = frame_from_messages(
                    bundle.color,
                    bundle.depth,
                    bundle.info,
                    depth_unit_m=self._depth_unit_m,
                    rectified=self._rectified,
                    depth_info=self._depth_info,
                )
                return shift_stamps(self._questions.ask(frame), self._shift_ns)

    def _reason(self) -> CameraError:
        """Return the reason why color images have no depth or camera info of their moment."""
        topics = {stream: topic for topic, stream in self._streams.items()}
        skews = [f"{topics[stream]} {skew_s * 1e3:+.1f} ms" for stream, skew_s in self._synchronizer.skew_s().items()]
        missing = [f"{topics[stream]} has no message yet" for stream in self._synchronizer.missing()]
        unstamped = [f"{topics[stream]}: {count} without a stamp" for stream, count in self._synchronizer.unstamped().items()]
        given = f"{', '.join([*missing, *unstamped, *skews])} from color, allowed {self._max_skew_s * 1e3:.1f} ms"
        fix = "raise max_skew_s if the camera stands still, or set other topics"
        return CameraError("Color, depth and camera info of a recording must be of one moment", given, fix)

    def _next(self, deadline_s: float) -> tuple[str, Any]:
        """Wait until the next message is due, and return its topic and the message."""
        if self._held is None:
            self._held = next(self._messages, None)
        if self._held is None:
            reason = self._reason() if self._is_barren else None
            if not self._loop and reason is None:
                raise ReplayEnded("The replay is at its end", self.name, "open it again, or with loop=true")
            if self._loop:
                self._round += 1
                self._begin()
            if reason is not None:
                self._why = reason
                raise reason
            return self._next(deadline_s)
        connection, log_ns, raw = self._held
        if self._realtime:
            due_s = self._started_s + (log_ns - self._reader.start_time) * 1e-9
            wait_until_due(due_s, max(deadline_s - time.monotonic(), 0.0))
        self._held = None
        return connection.topic, self._decoded(connection, log_ns, raw)

    def _hand_on(self, message: tuple[str, Any]) -> None:
        static = self._transforms[message[0]]
        for each in message[1].transforms:
            each.header.stamp = stamp_from_ns(max(stamp_to_ns(each.header.stamp) + self._shift_ns, 0))
        self._on_transforms(message[1], static)

    def release(self) -> None:
        """Close the file."""
        self._reader.close()
