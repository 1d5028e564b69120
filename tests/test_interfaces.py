"""The messages, services and actions of the workspace, over the interfaces that `make setup` built."""

import importlib
import math
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "ros2_ws" / "src" / "molmo_point_msgs"


def built(name):
    """Import a module over the built interfaces, or skip with the reason why it is not there."""
    pytest.importorskip("rclpy", reason="no ROS 2 here: run through ros2_ws/run, after make setup", exc_type=ImportError)
    if str(ROOT / "ros2_ws" / "install") not in os.environ.get("AMENT_PREFIX_PATH", ""):
        pytest.skip("the workspace is not in the environment: run through ros2_ws/run, after make setup")
    # with both there, interfaces that do not import are a failure
    return importlib.import_module(name)


pytestmark = pytest.mark.ros

FIELDS = {
    "msg.PointTarget": {
        "label": "string",
        "id": "string",
        "u": "double",
        "v": "double",
        "score": "float",
        "depth_status": "uint8",
        "position": "geometry_msgs/Point",
        "position_covariance": "double[9]",
        "normal": "geometry_msgs/Vector3",
        "alternate_depth": "float",
        "valid_ratio": "float",
        "gate": "uint8",
        "reason": "string",
        "track_state": "uint8",
        "since_confirmed": "float",
    },
    "msg.PointTargetArray": {
        "header": "std_msgs/Header",
        "camera_frame": "string",
        "query": "string",
        "model": "string",
        "image_width": "uint32",
        "image_height": "uint32",
        "targets": "sequence<molmo_point_msgs/PointTarget>",
        "absent": "boolean",
        "inference_time": "builtin_interfaces/Duration",
        "sync_skew": "float",
    },
    "msg.GraspTarget": {
        "header": "std_msgs/Header",
        "id": "string",
        "label": "string",
        "pose": "geometry_msgs/PoseWithCovariance",
        "width": "float",
        "quality": "float",
        "approach": "geometry_msgs/Vector3Stamped",
        "approach_distance": "float",
        "rejected_reasons": "sequence<string>",
    },
    "srv.Deproject.Request": {
        "u": "sequence<double>",
        "v": "sequence<double>",
        "stamp": "builtin_interfaces/Time",
        "target_frame": "string",
        "prefer": "string",
        "reference_depth": "float",
    },
    "srv.Deproject.Response": {
        "success": "boolean",
        "message": "string",
        "header": "std_msgs/Header",
        "targets": "sequence<molmo_point_msgs/PointTarget>",
    },
    "srv.SetQuery.Request": {
        "queries": "sequence<string>",
        "target_frame": "string",
        "max_rate": "float",
        "prefer": "string",
    },
    "srv.SetQuery.Response": {"success": "boolean", "message": "string"},
    "action.PointAt.Goal": {
        "queries": "sequence<string>",
        "target_frame": "string",
        "max_points": "uint32",
        "use_next_image": "boolean",
        "image": "sensor_msgs/Image",
        "compute_grasp": "boolean",
        "prefer": "string",
        "reference_depth": "float",
        "max_grasps": "uint32",
        "timeout": "builtin_interfaces/Duration",
    },
    "action.PointAt.Result": {
        "error_code": "uint16",
        "error_msg": "string",
        "results": "sequence<molmo_point_msgs/PointTargetArray>",
        "grasps": "sequence<molmo_point_msgs/GraspTarget>",
        "raw_output": "string",
    },
    "action.PointAt.Feedback": {
        "state": "uint8",
        "points_so_far": "uint32",
        "elapsed": "float",
        "partial": "molmo_point_msgs/PointTargetArray",
    },
    "action.CountObjects.Goal": {
        "query": "string",
        "samples": "uint32",
        "return_points": "boolean",
        "target_frame": "string",
        "max_points": "uint32",
        "interval": "builtin_interfaces/Duration",
        "timeout": "builtin_interfaces/Duration",
    },
    "action.CountObjects.Result": {
        "error_code": "uint16",
        "error_msg": "string",
        "count": "uint32",
        "count_min": "uint32",
        "count_max": "uint32",
        "points_agree": "boolean",
        "counts": "sequence<uint32>",
        "agreement": "float",
        "points": "molmo_point_msgs/PointTargetArray",
    },
    "action.CountObjects.Feedback": {
        "state": "uint8",
        "points_so_far": "uint32",
        "samples_so_far": "uint32",
        "elapsed": "float",
    },
    "action.PickObject.Goal": {
        "query": "string",
        "target": "molmo_point_msgs/GraspTarget",
        "place_relation": "uint8",
        "place_query": "string",
        "dry_run": "boolean",
        "attempts": "uint32",
        "timeout": "builtin_interfaces/Duration",
    },
    "action.PickObject.Result": {
        "error_code": "uint16",
        "error_msg": "string",
        "executed": "molmo_point_msgs/GraspTarget",
        "attempts": "uint32",
        "failure": "string",
        "picked": "boolean",
        "placed": "boolean",
        "holding": "string",
        "duration": "float",
    },
    "action.PickObject.Feedback": {"state": "uint8", "attempt": "uint32", "message": "string", "elapsed": "float"},
}

ERROR_CODES = {
    "NONE": 0,
    "GOAL_REJECTED": 1,
    "NO_IMAGE": 101,
    "NO_DEPTH": 102,
    "SYNC_ERROR": 103,
    "TF_ERROR": 104,
    "CAMERA_MOVED": 105,
    "MODEL_ERROR": 106,
    "PARSE_ERROR": 107,
    "TIMEOUT": 108,
    "CANCELED": 109,
    "UNKNOWN": 999,
}


def interface(name):
    """The class of an interface named as in FIELDS."""
    kind, *names = name.split(".")
    found = built(f"molmo_point_msgs.{kind}")
    for part in names:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_fields(name):
    assert interface(name).get_fields_and_field_types() == FIELDS[name]


def test_every_interface_of_the_workspace_is_tested():
    files = {f"{path.parent.name}.{path.stem}" for kind in ("msg", "srv", "action") for path in SOURCE.glob(f"{kind}/*")}
    assert files == {".".join(name.split(".")[:2]) for name in FIELDS}


@pytest.mark.parametrize("action", ["PointAt", "CountObjects", "PickObject"])
def test_error_codes_are_the_same_in_every_action(action):
    result = interface(f"action.{action}.Result")
    assert {name: getattr(result, name) for name in ERROR_CODES} == ERROR_CODES
    assert result().error_code == result.NONE


def test_error_codes_of_picking_do_not_meet_the_others():
    result = interface("action.PickObject.Result")
    own = {result.NO_GRASP, result.PLANNING_ERROR, result.GRASP_FAILED, result.NOT_FOUND, result.WRONG_OBJECT}
    assert len(own) == 5 and not own & set(ERROR_CODES.values())


def test_depth_statuses():
    point = interface("msg.PointTarget")
    names = ("DEPTH_OK", "DEPTH_MISSING", "DEPTH_AMBIGUOUS", "DEPTH_OUT_OF_RANGE", "DEPTH_STALE", "NO_DEPTH_INPUT")
    assert [getattr(point, name) for name in names] == [0, 1, 2, 3, 4, 5]


def test_depth_statuses_are_the_sdks():
    from molmo_point import DepthStatus

    point = interface("msg.PointTarget")
    for status in DepthStatus:
        name = status.name if status.name == "NO_INPUT" else f"DEPTH_{status.name}"
        assert hasattr(point, name.replace("NO_INPUT", "NO_DEPTH_INPUT")), status


def test_defaults_of_goals():
    assert interface("action.PointAt.Goal")().max_points == 50
    assert interface("action.PointAt.Goal")().use_next_image is True
    assert interface("action.CountObjects.Goal")().samples == 1
    assert interface("action.CountObjects.Goal")().return_points is True


def test_a_message_keeps_what_is_put_in_over_the_wire():
    serialization = built("rclpy.serialization")
    array, point = interface("msg.PointTargetArray")(), interface("msg.PointTarget")()
    point.label, point.u, point.v, point.score = "the handle of the red mug – ü", 12.25, -0.5, math.nan
    point.position.x, point.position_covariance = 0.4, [float(i) for i in range(9)]
    array.header.stamp.sec, array.header.stamp.nanosec, array.absent = 12, 345, False
    array.targets = [point]
    back = serialization.deserialize_message(serialization.serialize_message(array), type(array))
    (got,) = back.targets
    assert (got.label, got.u, got.v, got.position.x) == (point.label, 12.25, -0.5, 0.4)
    assert math.isnan(got.score) and list(got.position_covariance) == list(range(9))
    assert (back.header.stamp.sec, back.header.stamp.nanosec) == (12, 345)


def test_tf_messages_are_there():
    fields = built("tf2_msgs.msg").TFMessage.get_fields_and_field_types()
    assert fields == {"transforms": "sequence<geometry_msgs/TransformStamped>"}


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*/*.*")), ids=lambda path: path.name)
def test_every_interface_says_what_it_is(path):
    assert path.read_text(encoding="utf-8").startswith("# "), "the first line says what it is for"


def test_cmake_builds_every_interface():
    text = (SOURCE / "CMakeLists.txt").read_text(encoding="utf-8")
    for path in SOURCE.glob("*/*.*"):
        assert f'"{path.parent.name}/{path.name}"' in text
    depends = {node.text for node in ElementTree.parse(SOURCE / "package.xml").getroot().iter("depend")}
    assert depends == {"builtin_interfaces", "geometry_msgs", "sensor_msgs", "std_msgs"}
