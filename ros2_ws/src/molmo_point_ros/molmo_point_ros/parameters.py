"""The parameters of the nodes: declared in one table, with descriptions, ranges and checks."""

from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

CAMERAS = ("topics", "simulated", "recording", "realsense")


@dataclass(frozen=True)
class Spec:
    """One parameter: default, description, and where there are limits the range (inclusive) or the choices."""

    default: Any
    description: str
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False


CAMERA_SPECS = {
    "camera": Spec("simulated", "Where frames come from", choices=CAMERAS[1:]),
    "recording": Spec("", "Folder or .zip of a recording, for camera=recording; it is replayed in real time, again and again"),
    "restamp": Spec(True, "Give the frames of a recording the time at which they are replayed"),
    "scene_seed": Spec(0, "Which random tabletop, for camera=simulated", (0, 1_000_000)),
    "width": Spec(640, "Width of the image in pixels, for camera=simulated and camera=realsense", (16, 4096)),
    "height": Spec(480, "Height of the image in pixels, for camera=simulated and camera=realsense", (16, 4096)),
    "fps": Spec(0, "Frames per second, for camera=simulated (0: 10) and camera=realsense (0: 30)", (0, 120)),
    "depth_noise": Spec(True, "Give the simulated depth the noise and holes of a D435"),
    "serial": Spec("", "Serial number of the RealSense; empty takes the only one there is"),
    "camera_transform": Spec("", "YAML file with the camera's pose (load_transform), published on /tf_static; empty: none"),
}

PUBLISHER_SPECS = {
    **CAMERA_SPECS,
    "reliable": Spec(True, "Offer images reliably, which serves best-effort subscribers too; false: sensor QoS"),
    "depth_encoding": Spec("16UC1", "Encoding of the depth image", choices=("16UC1", "32FC1")),
}

POINTING_SPECS = {
    **CAMERA_SPECS,
    "camera": Spec("topics", "Where frames come from: images on topics, or a camera that this node opens", None, CAMERAS),
    "autostart": Spec(True, "Configure and activate at start; otherwise a lifecycle manager does", read_only=True),
    "model": Spec("tabletop", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "device": Spec("", "cpu, cuda, cuda:1, ...; empty takes the best there is"),
    "quantization": Spec("", "What the model offers, e.g. nf4; empty: none"),
    "compressed": Spec(False, "Subscribe to color/image_raw/compressed instead of color/image_raw"),
    "reliable": Spec(False, "Ask for images reliably: large ones on a busy machine, from a camera that offers it"),
    "rectified": Spec(False, "The images are rectified: take P of the camera info and no distortion"),
    "use_depth": Spec(True, "False: colour only, answers are pixels"),
    "depth_unit_m": Spec(0.001, "Metres per unit of 16UC1 depth; REP 118 says 0.001", (1e-6, 0.1)),
    "max_skew_s": Spec(0.0167, "Largest distance in time of depth and camera info from colour: half a frame period", (0.0, 1.0)),
    "image_timeout_s": Spec(3.0, "How long a goal waits for a complete image", (0.05, 600.0)),
    "max_image_age_s": Spec(1.0, "Oldest image to answer on where a goal takes the newest there is", (0.0, 1e9)),
    "target_frame": Spec("", "Frame of the positions where the goal names none; empty: the optical frame"),
    "tf_timeout_s": Spec(0.5, "How long to wait for the transform at the capture time", (0.0, 60.0)),
    "tf_cache_s": Spec(10.0, "How long transforms are remembered", (0.1, 3600.0)),
    "max_camera_motion_m": Spec(0.0, "Refuse if the camera moved farther meanwhile, in target_frame; 0: no limit", (0.0, 1e3)),
    "max_points": Spec(40, "Points per query at most, whatever the goal asks for", (1, 1000)),
    "timeout_s": Spec(60.0, "Time for a goal that names none", (0.05, 3600.0)),
    "lifespan_s": Spec(2.0, "After this time an answer is no longer delivered; 0: no limit", (0.0, 3600.0)),
    "marker_lifetime_s": Spec(10.0, "How long RViz shows an answer; 0: until the next", (0.0, 3600.0)),
}


@dataclass(frozen=True)
class CameraSettings:
    """The parameters of CAMERA_SPECS."""

    camera: str
    recording: str
    restamp: bool
    scene_seed: int
    width: int
    height: int
    fps: int
    depth_noise: bool
    serial: str
    camera_transform: str


@dataclass(frozen=True)
class PointingSettings(CameraSettings):
    """The parameters of POINTING_SPECS."""

    autostart: bool
    model: str
    device: str
    quantization: str
    compressed: bool
    reliable: bool
    rectified: bool
    use_depth: bool
    depth_unit_m: float
    max_skew_s: float
    image_timeout_s: float
    max_image_age_s: float
    target_frame: str
    tf_timeout_s: float
    tf_cache_s: float
    max_camera_motion_m: float
    max_points: int
    timeout_s: float
    lifespan_s: float
    marker_lifetime_s: float


@dataclass(frozen=True)
class PublisherSettings(CameraSettings):
    """The parameters of PUBLISHER_SPECS."""

    reliable: bool
    depth_encoding: str


def declare(node: Any, specs: dict[str, Spec]) -> None:
    """Declare every parameter of the table on the node; values outside their range or choices are refused, then and later.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: If a value given at start is refused.
    """
    node.add_on_set_parameters_callback(lambda given: _check(given, specs))
    for name, spec in specs.items():
        node.declare_parameter(name, spec.default, _descriptor(name, spec))


def read(node: Any, kind: type) -> Any:
    """The node's parameters as one of the settings classes above."""
    return kind(**{field.name: node.get_parameter(field.name).value for field in fields(kind)})


def _descriptor(name: str, spec: Spec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(name=name, description=spec.description, read_only=spec.read_only)
    if spec.choices:
        descriptor.additional_constraints = f"one of: {', '.join(spec.choices)}"
    if spec.range is not None and isinstance(spec.default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(spec.range[0]), to_value=float(spec.range[1]))]
    elif spec.range is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(spec.range[0]), to_value=int(spec.range[1]), step=1)]
    return descriptor


def _check(given: list[Parameter], specs: dict[str, Spec]) -> SetParametersResult:
    for parameter in given:
        choices = specs[parameter.name].choices if parameter.name in specs else ()
        if choices and parameter.value not in choices:
            reason = f"{parameter.name} is {parameter.value!r}, but must be one of: {', '.join(choices)}"
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)
