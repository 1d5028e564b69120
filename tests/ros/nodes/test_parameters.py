"""The nodes' parameters: declared with descriptions and limits, and refused where they make no sense."""

import dataclasses
import inspect
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_ros import parameter_declaration  # noqa: E402
from molmo_point_ros.inputs.bag_driver import BAG  # noqa: E402
from molmo_point_ros.nodes import parameter_tables, parameters, pick_parameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from molmo_point.camera.registry import CAMERAS, CameraDriver, Option  # noqa: E402
from molmo_point.cautions import CautionKind  # noqa: E402
from tests.camera.driver_table import markdown_table  # noqa: E402

pytestmark = pytest.mark.ros

POINTING = parameters.PointingNodeParameters
KINDS = parameter_tables.KINDS


@pytest.fixture
def make_node(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    context = rclpy.context.Context()
    rclpy.init(context=context)
    nodes = []

    def make(kind, **given):
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        nodes.append(rclpy.create_node("probe", context=context, parameter_overrides=overrides, start_parameter_services=False))
        parameter_declaration.declare(nodes[-1], kind)
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
    assert parameter_declaration.read(node, kind) == kind()


def test_values_given_at_start_are_read(make_node):
    settings = parameter_declaration.read(make_node(POINTING, model="folder", max_points=3), POINTING)
    assert (settings.model, settings.max_points) == ("folder", 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("camera", "kinect"),
        ("max_points", 0),
        ("max_skew_s", -0.1),
        ("timeout_s", 0.0),
        ("timeout_s", float("nan")),
        ("image_timeout_s", float("inf")),
        ("device", 7),
        ("target_frame", "  "),
        ("workspace_frame", "\t"),
        ("level_frame", "/"),
        ("query", "the cube; " + "x" * 2000),
        ("query", ";".join(["it"] * 17)),
        ("workspace_min", [float("nan")] * 3),
        ("accept_cautions", ["UNKNOWN_WORD"]),
    ],
)
def test_values_that_make_no_sense_are_refused_at_start_and_later(make_node, name, value):
    with pytest.raises(Exception, match=name):
        make_node(POINTING, **{name: value})
    (result,) = make_node(POINTING).set_parameters([Parameter(name, value=value)])
    assert not result.successful and result.reason


def test_trust_is_required_for_picking_only_and_kinds_are_accepted_by_their_names(make_node):
    pick, every = parameter_tables.PickNodeParameters, set(CautionKind)
    assert parameter_declaration.read(make_node(POINTING), POINTING).accepted() == every
    assert parameter_declaration.read(make_node(pick), pick).accepted() == set()
    for kind in (POINTING, pick):
        node = make_node(kind, require_trusted=True, accept_cautions=["UNCALIBRATED", "LABEL_DIFFERS"])
        assert parameter_declaration.read(node, kind).accepted() == {CautionKind.UNCALIBRATED, CautionKind.LABEL_DIFFERS}
    (result,) = make_node(pick).set_parameters([Parameter("require_trusted", value=False)])
    assert not result.successful, "the arm keeps the rule that it started with"


CAMERA = parameters.CameraNodeParameters


@pytest.mark.parametrize(
    ("given", "source", "options"),
    [
        ({"camera": "realsense:1?fps=15", "serial": "2", "fps": 30, "width": 640}, "1", {"fps": 15, "width": 640}),
        ({"camera": "realsense", "serial": "2", "recording": "r.zip"}, "2", {}),
        ({"camera": "simulated", "scene_seed": 7, "depth_noise": False}, 7, {"depth_noise": False}),
        ({"camera": "recording", "recording": "r.zip", "fps": 5}, "r.zip", {"realtime": True, "loop": True}),
        ({"camera": "recording:r.zip?loop=false"}, "r.zip", {"realtime": True, "loop": False}),
        ({"camera": "bag", "bag": "run", "bag_depth_topic": "/d"}, "run", {"depth_topic": "/d", "realtime": True, "loop": True}),
    ],
)
def test_the_camera_is_the_text_filled_with_the_parameters(given, source, options):
    request = CAMERA(**given).request()
    assert request.source == source
    images = ("rectified", "depth_unit_m", "max_skew_s")
    shown = {name: value for name, value in request.options.items() if name not in images}
    assert {name: value for name, value in shown.items() if name != "depth_noise" or not value} == options


def test_parameters_of_images_hold_for_recordings():
    request = CAMERA(camera="bag", bag="run", depth_unit_m=1e-4, rectified=True, max_skew_s=0.04).request()
    assert (request.options["depth_unit_m"], request.options["rectified"], request.options["max_skew_s"]) == (1e-4, True, 0.04)
    assert CAMERA(camera="bag:run?depth_unit_m=0.01", depth_unit_m=1e-4).request().options["depth_unit_m"] == 0.01
    assert CAMERA(camera="images:a.png", depth_unit_m=1e-4).request().options["depth_scale_m"] == 1e-4
    assert "depth_scale_m" not in CAMERA(camera="images:a.png").request().options


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        (POINTING, {"camera": "realsense", "depth_unit_m": 1e-4}, "depth_unit_m"),
        (POINTING, {"camera": "recording:a.zip", "rectified": True}, "rectified"),
        (POINTING, {"camera": "simulated", "rectified": True}, "rectified"),
        (POINTING, {"camera": "bag:run", "compressed": True}, "compressed"),
        (POINTING, {"camera": "realsense", "rgbd": True}, "rgbd"),
        (POINTING, {"camera": "topics", "camera_transform": "pose.yaml"}, "camera_transform"),
        (CAMERA, {"camera": "video:a.mp4", "depth_unit_m": 1e-4}, "depth_unit_m"),
        (CAMERA, {"camera": "realsense", "max_skew_s": 0.04}, "max_skew_s"),
    ],
)
def test_parameters_of_images_without_effect_are_refused(make_node, kind, given, name):
    assert kind(**given).conflict().startswith(f"{name} must be left out")
    with pytest.raises(Exception, match=name):
        make_node(kind, **given)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (POINTING, {"camera": "bag:run", "depth_unit_m": 1e-4, "rectified": True, "max_skew_s": 0.04}),
        (POINTING, {"camera": "topics", "depth_unit_m": 1e-4, "rectified": True, "compressed": True}),
        (POINTING, {"camera": "realsense", "max_skew_s": 0.04, "camera_transform": "pose.yaml", "reliable": True}),
        (CAMERA, {"camera": "bag:run", "depth_unit_m": 1e-4, "max_skew_s": 0.04}),
    ],
)
def test_parameters_of_images_with_an_effect_are_taken(kind, given):
    assert kind(**given).conflict() == ""


def test_a_camera_that_is_registered_is_a_value_of_the_parameter(make_node, monkeypatch):
    with pytest.raises(Exception, match="must be one of"):
        make_node(CAMERA, camera="blue:3")
    driver = CameraDriver("blue", "blue_camera:BlueCamera", "blue", Option("port", "port", 0))
    monkeypatch.setitem(CAMERAS, "blue", driver)
    for kind in (CAMERA, POINTING):
        node = make_node(kind, camera="blue:3")
        assert "blue[:PORT]" in node.describe_parameter("camera").additional_constraints
        assert parameter_declaration.read(node, kind).request().driver is driver


@pytest.mark.parametrize(("name", "value"), [("camera", "realsense?fsp=3"), ("camera", "topics"), ("width", 5)])
def test_a_camera_and_options_that_the_registry_lacks_are_refused(make_node, name, value):
    (result,) = make_node(CAMERA).set_parameters([Parameter(name, value=value)])
    assert not result.successful and "must be" in result.reason
    assert make_node(POINTING).set_parameters([Parameter("camera", value="topics")])[0].successful


def test_options_of_the_bag_are_the_arguments_of_its_camera():
    from molmo_point_ros.inputs.bag_camera import BagCamera

    source, *others = inspect.signature(BagCamera).parameters.values()
    defaults = {each.name: each.default for each in others}
    assert source.name == BAG.source.name
    assert [(option.name, option.default) for option in BAG.options] == [
        (option.name, defaults.get(option.name, "auto")) for option in BAG.options
    ]
    docs = Path(__file__).resolve().parents[3] / "docs" / "cameras.md"
    assert markdown_table([BAG]) in docs.read_text(encoding="utf-8")


def test_a_huge_value_is_not_repeated_in_the_reason(make_node):
    node = make_node(POINTING)
    for name, value in (("target_frame", "x" * 10**6), ("model", "x" * 10**6), ("camera", "x" * 10**6), ("query", "x" * 10**6)):
        (result,) = node.set_parameters([Parameter(name, value=value)])
        assert not result.successful and name in result.reason and len(result.reason) < 2000
    (result,) = node.set_parameters([Parameter("workspace_max", value=[1.0] * 10_000)])
    assert not result.successful and len(result.reason) < 2000


def test_the_box_must_span_a_volume(make_node):
    node = make_node(POINTING, workspace_max=[1.0, 1.0, 0.5])
    for name, corner, reason in (("workspace_min", [0.0, 0.0, 0.6], "below"), ("workspace_max", [0.0], "three numbers")):
        (result,) = node.set_parameters([Parameter(name, value=corner)])
        assert not result.successful and reason in result.reason
    assert node.set_parameters([Parameter("workspace_min", value=[0.0, 0.0, 0.0])])[0].successful


def test_the_documentation_has_the_generated_tables():
    text = (Path(__file__).resolve().parents[3] / "docs" / "ros.md").read_text(encoding="utf-8")
    own = set(parameter_declaration.specs_of(parameters.CameraNodeParameters)) - set(
        parameter_declaration.specs_of(parameters.CameraParameters)
    )
    rows = [row for row in parameter_tables.markdown_rows(parameters.CameraNodeParameters) if row.split("`")[1] in own]
    others = [kind for kind in KINDS if kind is not parameters.CameraNodeParameters]
    for row in [*(row for kind in others for row in parameter_tables.markdown_rows(kind)), *rows]:
        assert row in text, "copy the tables that python -m molmo_point_ros.nodes.parameter_tables prints into docs/ros.md"


@pytest.mark.parametrize("kind", [POINTING, parameters.CameraNodeParameters, pick_parameters.PickNodeParameters])
def test_a_camera_model_is_one_of_the_known(make_node, kind):
    node = make_node(kind, camera_model="D435:848")
    assert parameter_declaration.read(node, kind).camera_model == "D435:848"
    refused = node.set_parameters([Parameter("camera_model", value="D436x")])[0]
    assert not refused.successful and "did you mean 'D435'" in refused.reason


def test_a_camera_model_goes_to_the_camera_unless_its_text_has_one():
    kinds = ("recording:run.zip", "recording:run.zip?camera_model=D455")
    options = [parameters.CameraNodeParameters(camera=text, camera_model="femto").request().options for text in kinds]
    assert [each["camera_model"] for each in options] == ["femto", "D455"]
