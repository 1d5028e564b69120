"""Recordings of librealsense, which have the form of a bag of ROS 1 (.bag) or ROS 2 (.db3), and bags of ROS 1."""

import struct
from pathlib import Path

from molmo_point.files import open_file

_MAGIC = b"#ROSBAG V2.0"
_HEADER_BYTES, _INDEX_BYTES = 4096, 4 * 2**20
_SQLITE = b"SQLite format 3"
_REALSENSE = b"/device_0/sensor_"
_INDEX = b"index_pos="


def is_ros1_bag(path: str | Path) -> bool:
    """Test whether a path is a file in the form of ROS 1."""
    return Path(path).is_file() and _start(path).startswith(_MAGIC)


def is_realsense_bag(path: str | Path) -> bool:
    """Test whether a path is a recording of librealsense: its topics are those of a device."""
    if not Path(path).is_file():
        return False
    start = _start(path)
    if not start.startswith((_MAGIC, _SQLITE)):
        return False
    if _REALSENSE in start:
        return True
    if start.startswith(_SQLITE):
        return False
    place = start.find(_INDEX)
    if place < 0 or len(start) < place + len(_INDEX) + 8:
        return False
    (index,) = struct.unpack_from("<Q", start, place + len(_INDEX))
    with open_file(path) as file:
        # The connections follow the chunks; a recording that broke off has none, but begins with its topics.
        file.seek(min(index, 2**62))
        return _REALSENSE in file.read(_INDEX_BYTES)


def _start(path: str | Path) -> bytes:
    with open_file(path) as file:
        return file.read(16 * _HEADER_BYTES)
