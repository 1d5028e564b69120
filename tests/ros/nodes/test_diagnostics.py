"""Displaced depth in the diagnostics of the pointing node: value, sigma, number of frames, and a warning."""

import dataclasses
import math
import types

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from diagnostic_msgs.msg import DiagnosticStatus
from molmo_point_ros.nodes.diagnostics import Diagnostics, NodeState
from molmo_point_ros.nodes.monitor import NodeMonitor

from molmo_point.depth.alignment_check import AlignmentCheck, Misfit
from molmo_point.frame import RgbdFrame
from molmo_point.trust.training_description import TrainingDescription

pytestmark = pytest.mark.ros
SHIFTED = AlignmentCheck((-8.5, math.nan), (0.9, math.nan), (5.0, math.nan), (Misfit.SHIFT,) * 2, (40, 3), (True, False), 6)


def status(check, frame=None):
    """Status of a node whose comparison gave a check, and which used a frame."""
    monitor = NodeMonitor()
    if frame is not None:
        monitor.used(frame)
    frames = types.SimpleNamespace(received=lambda: 1, dropped=dict, incompatible_publishers=lambda: 0)
    backend = types.SimpleNamespace(name="scripted", training=TrainingDescription())
    resources = types.SimpleNamespace(
        monitor=monitor,
        frames=frames,
        pointer=types.SimpleNamespace(backend=backend),
        alignment=types.SimpleNamespace(check=check),
    )
    node = types.SimpleNamespace(
        get_fully_qualified_name=lambda: "/node", get_parameter=lambda name: types.SimpleNamespace(value="")
    )
    made = Diagnostics(node, 0.0, lambda: resources, lambda: NodeState.ACTIVE, dict, None).status()
    return made, {each.key: each.value for each in made.values}


def test_a_significant_displacement_is_a_warning_with_value_and_sigma():
    told, values = status(SHIFTED)
    assert told.level == DiagnosticStatus.WARN and "u -8.5 ± 0.9 px" in told.message and "align_depth" in told.message
    assert values["depth shift, frames"] == "6"
    assert (values["depth shift u px"], values["depth shift u px, sigma"]) == ("-8.5", "0.9")
    assert values["depth shift v px"] == "nan"


def test_no_displacement_is_no_warning():
    told, values = status(dataclasses.replace(SHIFTED, significant=(False, False)))
    assert told.level == DiagnosticStatus.OK and values["depth shift u px"] == "-8.5"
    for check in (None, dataclasses.replace(SHIFTED, significance=(math.nan, math.nan), significant=(False, False))):
        told, values = status(check)
        assert told.level == DiagnosticStatus.OK and not [name for name in values if name.startswith("depth shift")]


def test_depth_with_the_camera_info_of_another_camera_is_a_warning():
    depth_m = np.ones((4, 4), np.float32)
    frame = RgbdFrame(np.zeros((4, 4, 3), np.uint8), depth_m, None, 1, depth_doubt="its own camera info has fx 400")
    told, _ = status(None, frame)
    assert told.level == DiagnosticStatus.WARN and "its own camera info" in told.message
