"""The topics of a recording that make up its frames: chosen by type, name and first message, or named in an error.

Depth is never left out silently: what looks like depth is used, or refused with its topic.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from molmo_point.errors import InputError
from molmo_point_ros.conversions import image_size, same_camera

NO_DEPTH = "none"
"""Value of `depth_topic` for color images without depth."""
KINDS: dict[str, Any] = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
}
_DEPTH_ENCODINGS = ("16UC1", "32FC1")
_ALIGNED = ("aligned", "registered")
_NO_COLOR = ("infra", "annotated")
_NO_DEPTH_IMAGE = ("infra", "confidence", "disparity")
_DEPTH_WORDS = ("depth", "disparity", "rgbd")
_IMAGE_KINDS = ("Image", "RGBD", "Packet", "CompressedVideo")


@dataclass(frozen=True)
class BagTopics:
    """Topics of the frames of a recording.

    Attributes:
        color: Color images.
        depth: Depth images; "" for color images alone.
        info: Camera info of the color images; "" for color images alone.
        depth_info: Camera info next to the depth images; "" if there is none, or it is `info`.
    """

    color: str
    depth: str
    info: str
    depth_info: str = ""


def choose_topics(
    kinds: Mapping[str, str], first: Callable[[str], Any], color: str = "", depth: str = "", info: str = ""
) -> BagTopics:
    """Choose the topics that are not given.

    Args:
        kinds: Message type of every topic.
        first: Returns the first message of a topic; None if it has none.
        color: Topic of color images; "" takes the only one that fits.
        depth: Topic of depth; "" takes the only one that fits, "none" none.
        info: Topic of the camera info of the color images; "" takes the one next to them, or the one of their frame.

    Raises:
        InputError: No topic fits, or several do, or there is depth that cannot be used.
    """
    images = [topic for topic, kind in kinds.items() if kind in KINDS and kind != "sensor_msgs/msg/CameraInfo"]
    depths = [topic for topic in images if _is_depth(topic, first(topic))]
    colors = [topic for topic in images if topic not in depths and not _named(topic, _NO_COLOR)]
    color = _chosen("color", color, _raw(colors, kinds), kinds)
    if not color:
        raise InputError("A recording must have a topic with color images", _listed(kinds), "record them, or set color_topic")
    if depth == NO_DEPTH:
        return BagTopics(color, "", "")
    frame = _frame(first(color))
    named = [topic for topic in depths if _named(topic, ("depth",))]
    candidates = named or [topic for topic in depths if not _named(topic, _NO_DEPTH_IMAGE)]
    aligned = [topic for topic in candidates if _named(topic, _ALIGNED)]
    same_frame = [topic for topic in candidates if _frame(first(topic)) == frame]
    depth = _chosen("depth", depth, _raw(aligned or same_frame or candidates, kinds), kinds)
    if not depth:
        _check_no_depth(kinds, first, color)
        return BagTopics(color, "", "")
    info = _info_topic(kinds, first, color, depth, info)
    beside = f"{depth.removesuffix('/compressedDepth').rpartition('/')[0]}/camera_info"
    has_own = beside != info and kinds.get(beside) == "sensor_msgs/msg/CameraInfo"
    return BagTopics(color, depth, info, beside if has_own else "")


def _info_topic(kinds: Mapping[str, str], first: Callable[[str], Any], color: str, depth: str, given: str) -> str:
    """Return the camera info of the color images: next to them, or elsewhere with their frame and size."""
    infos = [topic for topic, kind in kinds.items() if kind == "sensor_msgs/msg/CameraInfo" and first(topic) is not None]
    image, folder = first(color), color.removesuffix("/compressed").rpartition("/")[0]
    beside = [topic for topic in infos if topic.rpartition("/")[0] == folder]
    fitting = [topic for topic in infos if _fits(first(topic), image)]
    if fitting and not beside and all(same_camera(first(fitting[0]), first(topic)) for topic in fitting):
        fitting = fitting[:1]
    info = _chosen("info", given, beside or fitting, kinds)
    if info and first(info) is not None:
        return info
    seen = ", ".join(f"{topic} of frame {_frame(first(topic))!r}" for topic in infos) or "no other camera info"
    raise InputError(
        "A recording with depth must have the camera info of its color images",
        f"{color}, depth {depth}; {f'{info} is empty; ' if info else ''}{seen}",
        f"record it, set info_topic, or set depth_topic to {NO_DEPTH} for pixels only; as ROS parameters, bag_...",
    )


def _fits(info: CameraInfo, image: Image | CompressedImage) -> bool:
    if _frame(info) not in ("", _frame(image)):
        return False
    return isinstance(image, CompressedImage) or image_size(info) == (int(image.width), int(image.height))


def _check_no_depth(kinds: Mapping[str, str], first: Callable[[str], Any], color: str) -> None:
    """Refuse a recording whose depth has a type or an encoding that is not read."""
    left = []
    for topic, kind in sorted(kinds.items()):
        is_named = _named(topic, _DEPTH_WORDS) or _named(kind.rpartition("/")[2], _DEPTH_WORDS)
        if topic != color and is_named and kind.endswith(_IMAGE_KINDS) and not _is_picture(first(topic)):
            left.append(f"{topic} ({kind})")
    if left:
        fix = (
            f"record depth as Image, set depth_topic, or set it to {NO_DEPTH} for pixels only; as ROS parameter, bag_depth_topic"
        )
        raise InputError("Depth of a recording must be a topic of 16UC1 or 32FC1 images", ", ".join(left), fix)


def _is_picture(message: Any) -> bool:
    """Return true for an image of 8 bits a channel, such as a colored picture of the depth."""
    if isinstance(message, CompressedImage):
        return not message.format.startswith(("16", "32", "mono16"))
    return isinstance(message, Image) and not _named(message.encoding, ("16", "32", "64"))


def _is_depth(topic: str, message: Any) -> bool:
    """Tell depth from color by the encoding, or by the name of a topic without messages."""
    if message is None:
        return _named(topic, ("depth",))
    if isinstance(message, CompressedImage):
        return "compressedDepth" in message.format or message.format.startswith(_DEPTH_ENCODINGS)
    # An infrared image is mono16, too.
    is_gray = message.encoding == "mono16" and _named(topic, ("depth",)) and not _named(topic, _NO_DEPTH_IMAGE)
    return message.encoding in _DEPTH_ENCODINGS or is_gray


def _raw(topics: list[str], kinds: Mapping[str, str]) -> list[str]:
    return [topic for topic in topics if kinds[topic] == "sensor_msgs/msg/Image"] or topics


def _named(name: str, words: Iterable[str]) -> bool:
    return any(word in name.lower() for word in words)


def _frame(message: Any) -> str:
    return "" if message is None else message.header.frame_id.lstrip("/")


def _chosen(name: str, given: str, candidates: list[str], kinds: Mapping[str, str]) -> str:
    fix = f"set {name}_topic to one of these; as a ROS parameter, bag_{name}_topic"
    if given and given not in kinds:
        raise InputError(f"{name}_topic must be a topic of the recording", f"{given!r}; topics: {_listed(kinds)}", fix)
    if given or len(candidates) < 2:
        return given or next(iter(candidates), "")
    raise InputError(f"{name}_topic must be given if several topics fit", ", ".join(candidates), fix)


def _listed(kinds: Mapping[str, str]) -> str:
    return "; ".join(f"{topic} ({kind})" for topic, kind in sorted(kinds.items())) or "no topics at all"
