"""The messages, services and actions of the workspace, over the interfaces that `make setup` built."""

import importlib
import math
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "ros2_ws" / "src" / "molmo_point_msgs"
FILES = sorted(SOURCE.glob("*/*.*"))
EVERYWHERE = {"builtin_interfaces", "geometry_msgs", "sensor_msgs", "std_msgs"}
"""Message packages that every ROS 2 installation has, the one from wheels included."""

pytestmark = pytest.mark.ros


def built(name):
    """Import a module over the built interfaces, or skip with the reason."""
    pytest.importorskip("rclpy", reason="no ROS 2 here: run through ros2_ws/run, after make setup", exc_type=ImportError)
    if str(ROOT / "ros2_ws" / "install") not in os.environ.get("AMENT_PREFIX_PATH", ""):
        pytest.skip("the workspace is not in the environment: run through ros2_ws/run, after make setup")
    # with both there, interfaces that do not import are a failure
    return importlib.import_module(name)


def fields(path):
    """Yield (type, name, comment) for every field and constant of an interface file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        code, _, comment = line.partition("#")
        if code.strip() and code.strip() != "---":
            kind, name, *_ = code.split()
            yield kind, name, comment.strip()


def result_of(action):
    return getattr(built("molmo_point_msgs.action"), action).Result


def constants(kind):
    return {name: getattr(kind, name) for name in dir(kind) if name.isupper() and isinstance(getattr(kind, name), int)}


def test_only_message_packages_that_exist_everywhere_are_needed():
    used = {kind.split("/")[0] for path in FILES for kind, _, _ in fields(path) if "/" in kind}
    assert used <= EVERYWHERE
    assert {node.text for node in ElementTree.parse(SOURCE / "package.xml").getroot().iter("depend")} == EVERYWHERE
    text = (SOURCE / "CMakeLists.txt").read_text(encoding="utf-8")
    for path in FILES:
        assert f'"{path.parent.name}/{path.name}"' in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_interface_says_what_it_is_and_every_quantity_its_unit_or_meaning(path):
    assert path.read_text(encoding="utf-8").startswith("# "), "the first line says what it is for"
    silent = [
        name
        for kind, name, comment in fields(path)
        if re.match(r"(float|geometry_msgs|builtin_interfaces)", kind) and not comment and "=" not in name
    ]
    assert silent == []


def test_the_error_codes_are_the_same_in_every_action():
    shared = constants(result_of("PointAt"))
    assert len(set(shared.values())) == len(shared) and shared["NONE"] == 0
    assert constants(result_of("CountObjects")) == shared
    picking = constants(result_of("PickObject"))
    assert shared.items() <= picking.items() and len(set(picking.values())) == len(picking)


def test_a_result_is_no_error_by_default():
    for action in ("PointAt", "CountObjects", "PickObject"):
        assert result_of(action)().error_code == result_of(action).NONE


def test_depth_statuses_are_the_sdks():
    from molmo_point import DepthStatus

    point = built("molmo_point_msgs.msg").PointTarget
    for status in DepthStatus:
        names = ("NO_DEPTH_INPUT",) if status is DepthStatus.NO_INPUT else (f"DEPTH_{status.name}", status.name)
        assert any(hasattr(point, name) for name in names), status


def test_a_message_keeps_what_is_put_in_over_the_wire():
    serialization, msg = built("rclpy.serialization"), built("molmo_point_msgs.msg")
    array, point = msg.PointTargetArray(), msg.PointTarget()
    point.label, point.u, point.v, point.score = "the handle of the red mug – ü", 12.25, -0.5, math.nan
    point.position.x, point.position_covariance = 0.4, [float(i) for i in range(9)]
    array.header.stamp.sec, array.header.stamp.nanosec, array.absent = 12, 345, False
    array.problems, array.truncated, array.region.width = ["ü"], True, 40
    array.targets = [point]
    back = serialization.deserialize_message(serialization.serialize_message(array), type(array))
    (got,) = back.targets
    assert (got.label, got.u, got.v, got.position.x) == (point.label, 12.25, -0.5, 0.4)
    assert math.isnan(got.score) and list(got.position_covariance) == list(range(9))
    assert (back.header.stamp.sec, back.header.stamp.nanosec) == (12, 345)
    assert (list(back.problems), back.truncated, back.region.width) == (["ü"], True, 40)


def test_tf_messages_are_there():
    assert set(built("tf2_msgs.msg").TFMessage.get_fields_and_field_types()) == {"transforms"}
