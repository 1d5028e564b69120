"""Recording of the input and the answers of the pointing node as MCAP, for `ros2 bag play` and our camera node.

Messages go to the file undecoded, in a thread of their own.
"""

import os
import queue
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molmo_point_msgs.msg import PointTargetArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from molmo_point.errors import InputError
from molmo_point_ros.inputs.bag_camera import import_rosbag2
from molmo_point_ros.inputs.image_qos import image_qos
from molmo_point_ros.nodes.node_run import RunnableNode, run_node
from molmo_point_ros.parameter_declaration import NodeParameters, declare, parameter, read

_WAITING = 300
_VERSION = 8
"""Version of the metadata; Humble cannot read the QoS of later ones."""
_PARTIAL = ".partial"


def typestore() -> Any:
    """Return the recorded message types, ours included, as rosbags writes them into the file."""
    from ament_index_python.packages import get_package_share_directory
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST)
    folder = Path(get_package_share_directory("molmo_point_msgs")) / "msg"
    for name in ("PointTarget", "PointTargetArray"):
        text = (folder / f"{name}.msg").read_text(encoding="utf-8")
        store.register(get_types_from_msg(text, f"molmo_point_msgs/msg/{name}"))
    return store


@dataclass(frozen=True)
class RecorderParameters(NodeParameters):
    """Parameters of the bag recorder."""

    output: str = parameter("", "Folder to create for the recording; must not exist")
    compressed: bool = parameter(False, "Record color/image_raw/compressed instead of color/image_raw")
    reliable: bool = parameter(True, "Subscribe to images reliably; the camera must offer it")
    server: str = parameter("molmo_point", "Name of the pointing node whose targets are recorded")


class BagWriter:
    """Writes serialized messages in a thread of its own. The folder gets its name when it is complete.

    Args:
        path: Folder to make.

    Raises:
        DependencyError: rosbags is not installed.
        InputError: The path exists, or the folder cannot be created.
    """

    def __init__(self, path: str | Path) -> None:
        rosbag2 = import_rosbag2()
        self.path = Path(path)
        # In a folder of its own: rosbag2 names the file in it after the recording.
        self._partial = self.path.with_name(f".{self.path.name}{_PARTIAL}") / self.path.name
        for each in (self.path, self._partial):
            if os.path.lexists(each) or not self.path.name:
                raise InputError("A recording must not overwrite a folder", str(each), "choose a new path, or remove the folder")
        self.dropped = self.written = 0
        self._store = typestore()
        self._connections: dict[str, Any] = {}
        try:
            # Made by one writer only.
            self._partial.parent.mkdir(parents=True)
            self._writer = rosbag2.Writer(self._partial, version=_VERSION, storage_plugin=rosbag2.StoragePlugin.MCAP)
            self._writer.open()
        except OSError as error:
            raise InputError("The path must be writable", f"{path} ({error.strerror})", "choose another path") from error
        self._queue: queue.Queue[tuple[str, str, int, bytes] | None] = queue.Queue(_WAITING)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="bag_writer", daemon=True)
        self._thread.start()

    def write(self, topic: str, kind: str, log_ns: int, data: bytes) -> None:
        """Queue a serialized message of a type ("sensor_msgs/msg/Image") for writing; it is dropped if the disk is too slow."""
        try:
            self._queue.put_nowait((topic, kind, log_ns, data))
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue
            topic, kind, log_ns, data = item
            try:
                if topic not in self._connections:
                    self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._store)
                self._writer.write(self._connections[topic], log_ns, data)
                self.written += 1
            except Exception as error:
                self._error = error

    def close(self) -> None:
        """Write the queued messages, and finish the recording.

        Raises:
            InputError: The recording is incomplete; the messages so far stay in the folder that the error names.
        """
        self._queue.put(None)
        self._thread.join()
        try:
            self._writer.close()
            if self._error is not None:
                raise self._error
            self._partial.rename(self.path)
            self._partial.parent.rmdir()
        except Exception as error:
            given = f"{self._partial} ({error})"
            raise InputError("The recording could not be finished", given, "check the free space") from error


class BagRecorder(Node, RunnableNode):
    """Subscribes to the recorded topics.

    Raises:
        MolmoPointError: As `BagWriter`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("bag_recorder", **options)
        declare(self, RecorderParameters)
        parameters = read(self, RecorderParameters)
        if not parameters.output:
            raise InputError(
                "The recording needs a path", "output=''", "set the parameter output to a folder that does not exist"
            )
        self.writer = BagWriter(parameters.output)
        self._is_closed = False
        qos = image_qos(parameters.reliable)
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        kind, color = (CompressedImage, "color/image_raw/compressed") if parameters.compressed else (Image, "color/image_raw")
        topics: tuple[tuple[Any, str, QoSProfile], ...] = (
            (kind, color, qos),
            (Image, "depth/image_raw", qos),
            (CameraInfo, "color/camera_info", qos),
            (TFMessage, "/tf", QoSProfile(depth=100)),
            (TFMessage, "/tf_static", latched),
            (PointTargetArray, f"{parameters.server}/targets", QoSProfile(depth=100)),
        )
        self._recorded = [self._record(*each) for each in topics]

    def start(self) -> bool:
        """Tell where the recording goes; the subscriptions are made."""
        self.get_logger().info(f"recording to {self.writer.path}; end with Ctrl-C")
        return True

    def close(self) -> None:
        """Finish the recording, once.

        Raises:
            InputError: As `BagWriter.close`.
        """
        if not self._is_closed:
            self._is_closed = True
            self.writer.close()
            print(f"{self.writer.path}: {self.writer.written} messages, {self.writer.dropped} dropped", file=sys.stderr)

    def _record(self, kind: Any, topic: str, qos: QoSProfile) -> Any:
        type_name = f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"

        def take(data: bytes) -> None:
            self.writer.write(subscription.topic_name, type_name, self.get_clock().now().nanoseconds, bytes(data))

        subscription = self.create_subscription(kind, topic, take, qos, raw=True)
        return subscription


def main(args: list[str] | None = None) -> int:
    """Record until told to end. Returns 1 if the recording cannot be created or finished."""
    return run_node("bag_recorder", args, BagRecorder)


if __name__ == "__main__":
    sys.exit(main())
