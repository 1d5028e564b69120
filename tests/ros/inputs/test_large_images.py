"""Which processes get the larger shared memory segment, and that its file is one."""

import xml.etree.ElementTree as ElementTree

import pytest

large_images = pytest.importorskip(
    "molmo_point_ros.inputs.large_images", reason="needs ros2_ws/src on the path: run through ros2_ws/run", exc_type=ImportError
)


def test_the_profile_holds_ten_raw_images_and_keeps_udp():
    root = ElementTree.parse(large_images.PROFILE).getroot()
    texts = {element.tag.split("}")[1]: element.text for element in root.iter()}
    kinds = [element.text for element in root.iter() if element.tag.endswith("}type")]
    assert int(texts["segment_size"]) >= 10 * 640 * 480 * 5
    assert kinds == ["SHM", "UDPv4"], "other machines must still be reached"


@pytest.mark.parametrize(
    ("distribution", "name"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("rolling", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_it_is_taken_where_nothing_else_was_chosen(distribution, name):
    environ = {"ROS_DISTRO": distribution}
    assert large_images.enlarge_shared_memory(environ)
    assert environ == {"ROS_DISTRO": distribution, name: str(large_images.PROFILE)}
    assert not large_images.enlarge_shared_memory(environ), "what is there stays"


@pytest.mark.parametrize(("version", "name"), [("7.1.6", "FASTRTPS"), ("9.1.2", "FASTDDS")])
def test_ros_from_wheels_is_known_by_its_version(monkeypatch, version, name):
    monkeypatch.setattr(large_images.metadata, "version", lambda wheel: version)
    environ = {}
    assert large_images.enlarge_shared_memory(environ)
    assert list(environ) == [f"{name}_DEFAULT_PROFILES_FILE"]


@pytest.mark.parametrize(
    "chosen",
    [
        {"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"},
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"},
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_what_the_user_chose_stays(chosen):
    environ = dict(chosen)
    assert not large_images.enlarge_shared_memory(environ)
    assert environ == chosen
