"""Which processes get the larger shared memory segment, and that its file is one."""

import xml.etree.ElementTree as ElementTree

import pytest

large_images = pytest.importorskip(
    "molmo_point_ros.large_images", reason="needs ros2_ws/src on the path: run through ros2_ws/run", exc_type=ImportError
)


def test_the_profile_holds_ten_raw_images_and_keeps_udp():
    root = ElementTree.parse(large_images.PROFILE).getroot()
    texts = {element.tag.split("}")[1]: element.text for element in root.iter()}
    kinds = [element.text for element in root.iter() if element.tag.endswith("}type")]
    assert int(texts["segment_size"]) >= 10 * 640 * 480 * 5
    assert kinds == ["SHM", "UDPv4"], "other machines must still be reached"


def test_it_is_taken_where_nothing_else_was_chosen():
    environ = {}
    assert large_images.enlarge_shared_memory(environ)
    assert set(environ.values()) == {str(large_images.PROFILE)}
    assert set(environ) == {"FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"}
    assert not large_images.enlarge_shared_memory(environ), "what is there stays"


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
