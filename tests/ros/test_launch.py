"""Launch files, loaded against stand-ins of `launch` and `launch_ros` that record what they are given.

Where a real `launch` is installed the stand-ins still serve: what is checked is that executables, parameters and
remapped topics exist in this package.
"""

import ast
import dataclasses
import importlib.util
import re
import sys
import types
from pathlib import Path

import pytest
import yaml

PACKAGE = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "molmo_point_ros"
EXECUTABLES = {"pointing_node": "PointingNodeParameters", "camera_node": "CameraNodeParameters"}


class Recorded:
    """Any launch action or description: keeps what it was made with."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


class LaunchConfiguration(Recorded):
    def perform(self, context):
        return context[self.args[0]]


@pytest.fixture
def stand_ins(monkeypatch):
    """The modules that launch files import."""
    names = {
        "launch": {"LaunchDescription": type("LaunchDescription", (Recorded,), {})},
        "launch.actions": {name: type(name, (Recorded,), {}) for name in ("DeclareLaunchArgument", "OpaqueFunction")},
        "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
        "launch_ros": {},
        "launch_ros.actions": {name: type(name, (Recorded,), {}) for name in ("Node", "LifecycleNode")},
    }
    monkeypatch.syspath_prepend(str(PACKAGE))
    for name, members in names.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)


def load(name):
    path = PACKAGE / "launch" / name
    spec = importlib.util.spec_from_file_location(path.stem.replace(".", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launched(name, **given):
    """The nodes that a launch file starts with these arguments, and its declared arguments."""
    entities = load(name).generate_launch_description().args[0]
    declared = {entity.args[0]: entity.kwargs for entity in entities if type(entity).__name__ == "DeclareLaunchArgument"}
    assert set(given) <= set(declared), "an argument that the launch file does not declare"
    context = {key: given.get(key, kwargs["default_value"]) for key, kwargs in declared.items()}
    (function,) = [entity.kwargs["function"] for entity in entities if type(entity).__name__ == "OpaqueFunction"]
    return function(context), declared


def parameters_module():
    return pytest.importorskip(
        "molmo_point_ros.nodes.parameters", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError
    )


def defaults_of(executable):
    return dataclasses.asdict(getattr(parameters_module(), EXECUTABLES[executable])())


LAUNCH_FILES = sorted(path.name for path in PACKAGE.glob("launch/*.launch.py"))


def test_there_are_launch_files():
    assert LAUNCH_FILES == ["pointing.launch.py", "simulated.launch.py"]


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_argument_is_text_with_a_description(stand_ins, name):
    _, declared = launched(name)
    for argument, kwargs in declared.items():
        assert isinstance(kwargs["default_value"], str), argument
        assert len(kwargs["description"]) > 10, argument


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_executables_exist_and_parameters_are_declared(stand_ins, name):
    arguments = {"model": "somewhere", "target_frame": "base_link", "camera": "recording", "namespace": "robot1"}
    nodes, _ = launched(name, **arguments, use_sim_time="true", autostart="false", query="the mug")
    setup = (PACKAGE / "setup.py").read_text(encoding="utf-8")
    for node in nodes:
        executable = node.kwargs["executable"]
        assert node.kwargs["package"] == "molmo_point_ros"
        assert f'"{executable} = molmo_point_ros.' in setup
        assert node.kwargs["namespace"] == "robot1"
        defaults = defaults_of(executable)
        for parameters in node.kwargs["parameters"]:
            if isinstance(parameters, dict):
                for key, value in parameters.items():
                    assert key == "use_sim_time" or type(defaults[key]) is type(value), key


def test_arguments_not_given_leave_the_parameter_file_alone(stand_ins):
    (node,), _ = launched("pointing.launch.py")
    file, overrides = node.kwargs["parameters"]
    assert overrides == {}
    assert Path(file).is_file()
    (node,), _ = launched("pointing.launch.py", autostart="false", use_sim_time="true", model="m")
    assert node.kwargs["parameters"][1] == {"autostart": False, "use_sim_time": True, "model": "m"}


def test_numbers_arrive_as_numbers(stand_ins):
    nodes, _ = launched("simulated.launch.py", scene_seed="7", fps="5")
    assert nodes[0].kwargs["parameters"] == [{"camera": "simulated", "scene_seed": 7, "fps": 5}]


EXPECTED = {
    *("namespace", "params_file", "log_level", "camera", "model", "device", "target_frame", "query"),
    *("use_sim_time", "autostart", "rviz", "rviz_config"),
}


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_argument_that_an_expert_expects_is_there(stand_ins, name):
    _, declared = launched(name)
    assert set(declared) >= EXPECTED
    if name == "pointing.launch.py":
        assert set(declared) >= {"name", "color_topic", "depth_topic", "info_topic", "namespaced_tf", "compressed", "reliable"}


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_no_argument_puts_an_absolute_topic_there(stand_ins, name):
    nodes, declared = launched(name, namespace="robot1", rviz="true")
    assert not [key for key, kwargs in declared.items() if "topic" in key and kwargs["default_value"].startswith("/")]
    for node in nodes:
        assert not [target for _, target in node.kwargs.get("remappings", []) if target.startswith("/")]


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_two_robots_are_two_launches_with_nothing_shared_but_tf(stand_ins, name):
    for robot in ("robot1", "robot2"):
        nodes, _ = launched(name, namespace=robot, rviz="true")
        assert [node.kwargs["namespace"] for node in nodes] == [robot] * len(nodes)
    if name == "pointing.launch.py":
        (node,), _ = launched(name, namespace="robot1", namespaced_tf="true")
        assert dict(node.kwargs["remappings"])["/tf"] == "tf"


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_rviz_is_started_only_if_asked_for_and_in_the_same_namespace_and_time(stand_ins, name):
    assert "rviz2" not in [node.kwargs["executable"] for node in launched(name)[0]]
    nodes, _ = launched(name, rviz="true", namespace="robot1", target_frame="base_link", use_sim_time="true")
    rviz = nodes[-1].kwargs
    assert (rviz["package"], rviz["executable"], rviz["namespace"]) == ("rviz2", "rviz2", "robot1")
    assert rviz["arguments"][0] == "-d" and Path(rviz["arguments"][1]).is_file()
    assert rviz["arguments"][2:] == ["-f", "base_link"]
    assert rviz["parameters"] == [{"use_sim_time": True}]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("pointing.launch.py", {"rviz": "maybe"}, "rviz:=maybe"),
        ("pointing.launch.py", {"use_sim_time": "2"}, "use_sim_time:=2"),
        ("simulated.launch.py", {"scene_seed": "seven"}, "scene_seed:=seven"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(stand_ins, name, given, words):
    with pytest.raises(ValueError, match=words):
        launched(name, **given)


def test_rviz_shows_topics_that_are_published_and_relative():
    displays = yaml.safe_load((PACKAGE / "rviz" / "pointing.rviz").read_text(encoding="utf-8"))["Visualization Manager"][
        "Displays"
    ]
    shown = [display["Topic"]["Value"] for display in displays if "Topic" in display]
    shown += [value for display in displays for key, value in display.items() if key.endswith("Image Topic")]
    source = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "molmo_point_ros").rglob("*.py"))
    assert len(shown) >= 5
    for topic in shown:
        assert not topic.startswith("/")
        assert f'"{topic.replace("molmo_point/", "~/", 1)}"' in source, topic


def test_remapped_topics_are_subscribed_to_and_relative(stand_ins):
    (node,), _ = launched("pointing.launch.py", color_topic="/camera/camera/color/image_raw")
    remappings = dict(node.kwargs["remappings"])
    assert remappings["color/image_raw/compressed"] == "/camera/camera/color/image_raw/compressed"
    assert remappings["color/image_raw"] == "/camera/camera/color/image_raw"
    texts = set()
    for path in (PACKAGE / "molmo_point_ros").rglob("*.py"):
        texts |= {
            entry.value for entry in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(entry, ast.Constant)
        }
    for topic in remappings:
        assert topic in texts and not topic.startswith("/")


def test_the_parameter_file_holds_declared_parameters_with_their_types():
    values = yaml.safe_load((PACKAGE / "config" / "pointing.yaml").read_text(encoding="utf-8"))["/**"]["ros__parameters"]
    module = parameters_module()
    from molmo_point_ros.parameter_declaration import specs_of

    defaults, specs = defaults_of("pointing_node"), specs_of(module.PointingNodeParameters)
    for name, value in values.items():
        assert type(defaults[name]) is type(value), name
        assert specs[name].range is None or specs[name].range[0] <= value <= specs[name].range[1], name
        entries = {each for each in value if each} if isinstance(value, list) else {value}
        assert not specs[name].choices or entries <= set(specs[name].choices), name


def test_the_package_installs_launch_and_config_and_its_programs_exist():
    setup = (PACKAGE / "setup.py").read_text(encoding="utf-8")
    programs = re.findall(r'"(\w+) = ([\w.]+):main"', setup)
    assert {name for name, _ in programs} >= {"pointing_node", "camera_node", "pick_node", "point_at", "command"}
    for name, module in programs:
        source = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
        assert "\ndef main(" in source.read_text(encoding="utf-8"), name
    for kind in ("launch", "config", "rviz"):
        assert f"share/{{NAME}}/{kind}" in setup
