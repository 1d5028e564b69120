"""Taught objects of the SDK to messages."""

import math
from typing import TYPE_CHECKING

import numpy as np
from molmo_point_msgs.msg import TaughtObject as TaughtObjectMessage
from sensor_msgs.msg import CompressedImage

from molmo_point.files import encode_png
from molmo_point_ros.conversions.stamps import stamp_from_ns

if TYPE_CHECKING:
    from molmo_point.model.taught.library import Library, TaughtObject


def taught_message(taught: "TaughtObject", library: "Library", *, thumbnail: bool = False) -> TaughtObjectMessage:
    """Return the message of an object of a library.

    Args:
        taught: The object.
        library: Its library.
        thumbnail: True adds the picture of its first view.
    """
    message = TaughtObjectMessage(
        name=taught.name,
        aliases=list(taught.aliases),
        categories=list(taught.categories),
        views=len(taught.views),
        taught=stamp_from_ns(taught.stamp_ns or 0),
        found_rate=math.nan,
        looks_like=list(library.looks_like(taught.name)),
    )
    if thumbnail:
        message.thumbnail = _png(encode_png(taught.views[0].thumbnail))
    return message


def picture_message(picture: np.ndarray, stamp_ns: int, frame: str) -> CompressedImage:
    """Return the message of a picture (h, w, 3) uint8 RGB, as PNG."""
    message = _png(encode_png(picture))
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), frame
    return message


def _png(data: bytes) -> CompressedImage:
    message = CompressedImage(format="png")
    # rclpy checks every element of a list or bytes in Python, but takes an array of bytes as it is.
    message.data.frombytes(data)
    return message
