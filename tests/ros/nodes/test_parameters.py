"""The nodes' parameters: declared with descriptions and limits, and refused where they make no sense."""

import dataclasses
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_ros.nodes import parameters  # noqa: E402
from molmo_point_ros.nodes.pick_parameters import PickSettings  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

pytestmark = pytest.mark.ros

POINTING = parameters.PointingNodeParameters
KINDS = [
    POINTING,
    parameters.CameraNodeParameters,
    PickSettings,
    parameters.RecorderParameters,
    parameters.CaptureParameters,
]


@pytest.fixture
def make_node(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    context = rclpy.context.Context()
    rclpy.init(context=context)
    nodes = []

    def make(kind, **given):
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        nodes.append(rclpy.create_node("probe", context=context, parameter_overrides=overrides, start_parameter_services=False))
        parameters.declare(nodes[-1], kind)
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.shutdown()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_description_and_numbers_have_a_range(make_node, kind):
    node = make_node(kind)
    for name, default in dataclasses.asdict(kind()).items():
        descriptor = node.describe_parameter(name)
        assert len(descriptor.description) > 10, name
        if type(default) in (int, float):
            limits = [*descriptor.integer_range, *descriptor.floating_point_range]
            assert len(limits) == 1 and limits[0].from_value <= default <= limits[0].to_value, name
    assert parameters.read(node, kind) == kind()


def test_values_given_at_start_are_read(make_node):
    settings = parameters.read(make_node(POINTING, model="folder", max_points=3), POINTING)
    assert (settings.model, settings.max_points) == ("folder", 3)


@pytest.mark.parametrize(
    ("name", "value"), [("camera", "kinect"), ("max_points", 0), ("max_skew_s", -0.1), ("timeout_s", 0.0), ("device", 7)]
)
def test_values_that_make_no_sense_are_refused_at_start_and_later(make_node, name, value):
    with pytest.raises(Exception, match=name):
        make_node(POINTING, **{name: value})
    (result,) = make_node(POINTING).set_parameters([Parameter(name, value=value)])
    assert not result.successful and result.reason


def test_the_box_must_span_a_volume(make_node):
    node = make_node(POINTING, workspace_max=[1.0, 1.0, 0.5])
    for name, corner, reason in (("workspace_min", [0.0, 0.0, 0.6], "below"), ("workspace_max", [0.0], "three numbers")):
        (result,) = node.set_parameters([Parameter(name, value=corner)])
        assert not result.successful and reason in result.reason
    assert node.set_parameters([Parameter("workspace_min", value=[0.0, 0.0, 0.0])])[0].successful


def test_the_documentation_has_the_generated_tables():
    text = (Path(__file__).resolve().parents[3] / "docs" / "ros.md").read_text(encoding="utf-8")
    own = set(parameters.specs_of(parameters.CameraNodeParameters)) - set(parameters.specs_of(parameters.CameraParameters))
    rows = [row for row in parameters.markdown_rows(parameters.CameraNodeParameters) if row.split("`")[1] in own]
    for row in [*parameters.markdown_rows(POINTING), *rows]:
        assert row in text, "copy the tables that python -m molmo_point_ros.nodes.parameters prints into docs/ros.md"
