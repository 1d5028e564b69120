"""The topics of a recording: chosen by type, name and first message, and never depth left out without a word."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
bag_topics = pytest.importorskip("molmo_point_ros.inputs.bag_topics", reason="run through ros2_ws/run", exc_type=ImportError)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402

from molmo_point.errors import InputError  # noqa: E402

pytestmark = pytest.mark.ros

IMAGE, COMPRESSED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"


def image(encoding, frame="optical"):
    return stamped(Image(encoding=encoding, width=64, height=48), frame)


def packed(form, frame="optical"):
    return stamped(CompressedImage(format=form), frame)


def info(frame="optical", width=64, **fields):
    return stamped(CameraInfo(width=width, height=48 * width // 64, **fields), frame)


def stamped(message, frame):
    message.header.frame_id = frame
    return message


NAMES = {Image: IMAGE, CompressedImage: COMPRESSED, CameraInfo: INFO}


def choose(messages, **given):
    """Topics and their first message, or their type where there is none."""
    kinds = {topic: one if isinstance(one, str) else NAMES[type(one)] for topic, one in messages.items()}
    found = bag_topics.choose_topics(kinds, lambda topic: None if isinstance(messages[topic], str) else messages[topic], **given)
    return found.color, found.depth, found.info


C, D, K = "/c/color/image_raw", "/c/aligned_depth_to_color/image_raw", "/c/color/camera_info"
BASE = {C: image("rgb8"), K: info()}
REALSENSE = {
    **BASE,
    D: image("16UC1"),
    "/c/aligned_depth_to_color/camera_info": info(),
    "/c/depth/image_rect_raw": image("16UC1", "depth_optical"),
    "/c/depth/camera_info": info("depth_optical"),
    "/c/infra1/image_rect_raw": image("mono8", "infra1_optical"),
    "/c/color/image_raw/compressed": packed("rgb8; jpeg compressed bgr8"),
    "/c/aligned_depth_to_color/image_raw/compressedDepth": packed("16UC1; compressedDepth png"),
    "/molmo_point/annotated/compressed": packed("jpeg"),
}


OWN = "/c/aligned_depth_to_color/camera_info"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (REALSENSE, OWN),
        (BASE, ""),
        ({**BASE, D: image("16UC1")}, ""),
        ({**BASE, D: packed("16UC1; compressedDepth"), OWN: info()}, OWN),
        ({**BASE, "/c/color/depth": image("16UC1")}, ""),
        ({**BASE, f"{D}/compressedDepth": packed("16UC1; compressedDepth"), OWN: info()}, OWN),
    ],
)
def test_the_depth_has_the_camera_info_next_to_it(messages, expected):
    kinds = {topic: NAMES[type(one)] for topic, one in messages.items()}
    assert bag_topics.choose_topics(kinds, messages.get).depth_info == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (REALSENSE, (C, D, K)),
        ({**BASE, "/c/Depth/image": image("16UC1")}, (C, "/c/Depth/image", K)),
        ({**BASE, "/c/z_map": image("32FC1")}, (C, "/c/z_map", K)),
        ({**BASE, "/x/DEPTH": packed("16UC1; compressedDepth")}, (C, "/x/DEPTH", K)),
        ({**BASE, "/zed/depth": image("32FC1"), "/zed/confidence": image("32FC1")}, (C, "/zed/depth", K)),
        ({"/depth_camera/image": image("bgr8"), "/depth_camera/z": image("32FC1"), "/depth_camera/camera_info": info()}, None),
        ({**BASE, "/a/depth": image("16UC1", "other"), "/b/depth": image("16UC1")}, (C, "/b/depth", K)),
        ({C: image("rgb8"), D: image("16UC1"), "/elsewhere/info": info()}, (C, D, "/elsewhere/info")),
        ({C: image("rgb8"), D: image("16UC1"), "/elsewhere/info": info("")}, (C, D, "/elsewhere/info")),
        ({C: image("rgb8"), D: image("16UC1"), "/a/i": info(), "/b/i": info("depth"), "/c/i": info(width=640)}, (C, D, "/a/i")),
        ({C: image("rgb8"), D: image("16UC1"), "/a/i": info(width=128, binning_x=2, binning_y=2)}, (C, D, "/a/i")),
        ({C: image("rgb8"), D: image("16UC1"), "/a/i": info(), "/b/i": info()}, (C, D, "/a/i")),
        ({C: image("rgb8"), D: image("16UC1"), K: INFO, "/a/i": info()}, (C, D, "/a/i")),
        (
            {"/c/color/image_raw/compressed": packed("jpeg"), D: image("16UC1"), K: info()},
            ("/c/color/image_raw/compressed", D, K),
        ),
        ({C: image("rgb8")}, (C, "", "")),
        (BASE, (C, "", "")),
        ({**BASE, "/depth_cam/infra": image("mono8")}, (C, "", "")),
        ({C: image("rgb8"), "/c/depth/camera_info": info()}, (C, "", "")),
    ],
)
def test_topics_as_recorders_name_them_are_chosen(messages, expected):
    assert choose(messages) == (expected or ("/depth_camera/image", "/depth_camera/z", "/depth_camera/camera_info"))


@pytest.mark.parametrize(
    ("messages", "names"),
    [
        ({C: image("rgb8"), D: image("16UC1")}, ["camera info", C, D, "no other camera info"]),
        ({C: image("rgb8"), D: image("16UC1"), K: INFO}, ["camera info", D]),
        ({C: image("rgb8"), D: image("16UC1"), "/x/i": info("depth")}, ["camera info", "/x/i of frame 'depth'"]),
        ({C: image("rgb8"), D: image("16UC1"), "/x/i": info(), "/y/i": info(d=[0.1])}, ["info_topic", "/x/i, /y/i"]),
        ({**BASE, "/a/depth": image("16UC1"), "/b/depth": image("16UC1")}, ["depth_topic", "/a/depth, /b/depth"]),
        ({**BASE, "/c/Depth/image": image("rgb16")}, ["color_topic", "/c/Depth/image"]),
        ({**BASE, "/c/rgbd": "realsense2_camera_msgs/msg/RGBD"}, ["/c/rgbd", "16UC1"]),
        ({**BASE, "/c/disparity": "stereo_msgs/msg/DisparityImage"}, ["/c/disparity", "16UC1"]),
        ({**BASE, "/c/depth/ffmpeg": "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"}, ["/c/depth/ffmpeg", "16UC1"]),
        ({"/depth_cam/color": image("rgb8"), "/depth_cam/z": image("rgb16")}, ["color_topic", "/depth_cam/z"]),
        ({**BASE, "/b/image": image("rgb8")}, ["color_topic", f"{C}, /b/image"]),
        ({"/c/depth": image("16UC1")}, ["color images", "/c/depth"]),
        ({}, ["no topics at all"]),
    ],
)
def test_what_cannot_be_chosen_is_named(messages, names):
    with pytest.raises(InputError) as caught:
        choose(messages)
    assert all(name in str(caught.value) for name in names), caught.value


def test_named_topics_win_and_depth_can_be_declined():
    assert choose(REALSENSE, depth="/c/depth/image_rect_raw", info="/c/depth/camera_info")[1:] == (
        "/c/depth/image_rect_raw",
        "/c/depth/camera_info",
    )
    assert choose({C: image("rgb8"), D: image("16UC1")}, depth="none") == (C, "", "")
    with pytest.raises(InputError, match="depth_topic must be a topic"):
        choose(BASE, depth="/nowhere")
    with pytest.raises(InputError, match="/c/Depth/image"):
        choose({**BASE, "/c/Depth/image": image("rgb16")}, color=C)


def test_infos_that_differ_in_their_stamp_only_are_one():
    later = info()
    later.header.stamp.sec = 5
    assert choose({C: image("rgb8"), D: image("16UC1"), "/a/i": info(), "/b/i": later})[2] == "/a/i"
