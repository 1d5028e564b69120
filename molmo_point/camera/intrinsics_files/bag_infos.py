"""The camera infos of a ROS bag: the first one of each topic. Definitions of messages in a bag are not used."""

from pathlib import Path
from typing import Any

from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.files import open_file

ROS1_MAGIC = b"#ROSBAG V2.0"
_MAGICS = {ROS1_MAGIC: ".bag", b"\x89MCAP0": ".mcap", b"SQLite format 3": ".db3"}
_INFO = "sensor_msgs/msg/CameraInfo"
_FIELDS = ("height", "width", "distortion_model", "d", "k", "r", "p", "D", "K", "R", "P", "binning_x", "binning_y")


def is_bag(path: Path) -> bool:
    """Test whether a path is a bag of ROS: a folder with metadata.yaml, or a file that begins like one."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file()
    if not path.is_file():
        return False
    with open_file(path) as file:
        return file.read(16).startswith(tuple(_MAGICS))


def bag_tree(path: Path) -> dict[str, Any]:
    """Return the first camera info of each topic as a mapping.

    Raises:
        InputError: The bag cannot be read.
        DependencyError: rosbags is not installed.
    """
    require("rosbags", "Reading bags", "formats")
    try:
        return _tree(path)
    except Exception as error:  # rosbags raises the errors of several formats
        raise InputError(
            "The bag must be readable", f"{path} ({error})", "record again, or give the camera info as YAML"
        ) from error


def _tree(path: Path) -> dict[str, Any]:
    from rosbags import rosbag1, rosbag2, typesys

    with path.open("rb") if path.is_file() else open(path / "metadata.yaml", "rb") as file:
        ros1 = file.read(16).startswith(ROS1_MAGIC)
    store = typesys.get_typestore(typesys.Stores.ROS1_NOETIC if ros1 else typesys.Stores.ROS2_HUMBLE)
    tree: dict[str, Any] = {}
    with rosbag1.Reader(path) if ros1 else rosbag2.Reader(path) as reader:
        for connection in reader.connections:
            if connection.msgtype == _INFO and connection.topic not in tree:
                found = next(iter(reader.messages([connection])), None)
                if found is not None:
                    message = (store.deserialize_ros1 if ros1 else store.deserialize_cdr)(found[2], _INFO)
                    tree[connection.topic] = _plain_info(message)
    return tree


def _plain_info(message: Any) -> dict[str, Any]:
    fields = {name: value for name, value in vars(message).items() if name in _FIELDS}
    fields = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in fields.items()}
    return {**fields, "roi": {key: value for key, value in vars(message.roi).items() if not key.startswith("_")}}
