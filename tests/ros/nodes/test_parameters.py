"""The nodes' parameters: declared with descriptions and limits, and refused where they make no sense."""

import dataclasses
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_ros.nodes import parameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

pytestmark = pytest.mark.ros

TABLES = [
    (parameters.POINTING_SPECS, parameters.PointingSettings),
    (parameters.PUBLISHER_SPECS, parameters.PublisherSettings),
]


@pytest.fixture
def make_node(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    context = rclpy.context.Context()
    rclpy.init(context=context)
    nodes = []

    def make(specs, **given):
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        nodes.append(rclpy.create_node("probe", context=context, parameter_overrides=overrides, start_parameter_services=False))
        parameters.declare(nodes[-1], specs)
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.shutdown()


@pytest.mark.parametrize(("specs", "kind"), TABLES)
def test_settings_and_table_agree(specs, kind):
    fields = {field.name: field.type for field in dataclasses.fields(kind)}
    assert fields == {name: type(spec.default) for name, spec in specs.items()}


@pytest.mark.parametrize(("specs", "kind"), TABLES)
def test_every_parameter_has_a_description_and_numbers_have_a_range(make_node, specs, kind):
    node = make_node(specs)
    for name, spec in specs.items():
        descriptor = node.describe_parameter(name)
        assert len(descriptor.description) > 10, name
        if type(spec.default) in (int, float):
            limits = [*descriptor.integer_range, *descriptor.floating_point_range]
            assert len(limits) == 1 and limits[0].from_value <= spec.default <= limits[0].to_value, name
    assert parameters.read(node, kind) == kind(**{name: spec.default for name, spec in specs.items()})


def test_values_given_at_start_are_read(make_node):
    settings = parameters.read(make_node(parameters.POINTING_SPECS, model="folder", max_points=3), parameters.PointingSettings)
    assert (settings.model, settings.max_points) == ("folder", 3)


@pytest.mark.parametrize(
    ("name", "value"), [("camera", "kinect"), ("max_points", 0), ("max_skew_s", -0.1), ("timeout_s", 0.0), ("device", 7)]
)
def test_values_that_make_no_sense_are_refused_at_start_and_later(make_node, name, value):
    with pytest.raises(Exception, match=name):
        make_node(parameters.POINTING_SPECS, **{name: value})
    (result,) = make_node(parameters.POINTING_SPECS).set_parameters([Parameter(name, value=value)])
    assert not result.successful and result.reason


def test_the_documentation_names_every_parameter_with_its_description():
    text = (Path(__file__).resolve().parents[3] / "docs" / "ros.md").read_text(encoding="utf-8")
    for specs, _ in TABLES:
        for name, spec in specs.items():
            if name == "camera":  # one row, of the node that has one choice more
                continue
            assert f"| `{name}` |" in text, name
            assert spec.description in text, name
