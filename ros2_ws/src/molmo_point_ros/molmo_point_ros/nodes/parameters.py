"""The parameters of the nodes: declared in one table, with descriptions, ranges and checks."""

import math
from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

from molmo_point.grasp.gripper import Gripper

CAMERAS = ("topics", "simulated", "recording", "bag", "realsense")


@dataclass(frozen=True)
class Spec:
    """One parameter: default, description, and where there are limits the range (inclusive) or the choices."""

    default: Any
    description: str
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False


MODEL_SPECS = {
    "model": Spec("tabletop", "Embedded checkpoint, folder with a checkpoint, or Hugging Face id"),
    "device": Spec("", "cpu, cuda, cuda:1, ...; empty takes the best there is"),
    "quantization": Spec("", "What the model offers, e.g. nf4; empty: none"),
}

CAMERA_SPECS = {
    "camera": Spec("simulated", "Where frames come from", choices=CAMERAS[1:]),
    "recording": Spec("", "Folder or .zip of a recording, for camera=recording; it is replayed in real time, again and again"),
    "restamp": Spec(True, "Give the frames of a recording the time at which they are replayed"),
    "bag": Spec("", "Folder of a rosbag2 recording, or its .mcap or .db3 file, for camera=bag; replayed like a recording"),
    "bag_color_topic": Spec("", "Colour images in the bag; empty: the only topic that looks like it"),
    "bag_depth_topic": Spec("", "Depth aligned to colour in the bag; empty: the only topic that looks like it"),
    "bag_info_topic": Spec("", "Camera info of the colour images in the bag; empty: the one beside them"),
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
    **MODEL_SPECS,
    "compressed": Spec(False, "Subscribe to color/image_raw/compressed instead of color/image_raw"),
    "reliable": Spec(False, "Ask for images reliably: large ones on a busy machine, from a camera that offers it"),
    "rgbd": Spec(False, "Subscribe to rgbd (realsense2_camera_msgs/RGBD: all of one capture in one message) instead"),
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
    "max_query_length": Spec(1000, "Characters of a query at most", (1, 1000)),
    "max_image_px": Spec(16_000_000, "Pixels of an image at most; larger ones are refused undecoded", (256, 64_000_000)),
    "query": Spec("", "Look for this all the time, from activation on; several, separated by semicolons; empty: only when asked"),
    "max_rate_hz": Spec(0.0, "Answers per second at most in continuous mode, where SetQuery names none; 0: no limit", (0.0, 1e3)),
    "tracking": Spec(True, "Follow the points from frame to frame in continuous mode (OpenCV); false: publish answers only"),
    "track_history_s": Spec(6.0, "How late an answer may be for tracks; a second of 640x480 is 18 MB", (0.1, 120.0)),
    "track_hold_s": Spec(1.0, "How long a tracked point that is out of sight is looked for", (0.01, 60.0)),
    "workspace_frame": Spec("", "Frame of the workspace box; empty: target_frame, or else the frame of the answer"),
    "workspace_min": Spec([-math.inf] * 3, "Gate: lower corner x, y, z in metres of the box for positions; -.inf: no limit"),
    "workspace_max": Spec([math.inf] * 3, "Gate: upper corner x, y, z in metres of the box for positions; .inf: no limit"),
    "min_confidence": Spec(0.0, "Gate: least confidence of a target; 0: no limit", (0.0, 1.0)),
    "max_sigma_m": Spec(0.0, "Gate: largest standard deviation of a position where it is least certain; 0: no limit", (0.0, 1e3)),
    "max_target_age_s": Spec(0.0, "Gate: longest time from the capture to the answer; 0: no limit", (0.0, 1e9)),
    "level_frame": Spec("", "Frame whose z axis points up: grasps then count only a level plane as support; empty: any"),
    "gripper_max_opening_m": Spec(0.08, "Widest distance between the fingers", (0.001, 1.0)),
    "gripper_finger_width_m": Spec(0.018, "Size of a finger across the closing direction", (0.001, 1.0)),
    "gripper_finger_thickness_m": Spec(0.01, "Size of a finger along the closing direction", (0.001, 1.0)),
    "gripper_finger_depth_m": Spec(0.045, "From the palm to the ends of the fingers", (0.005, 1.0)),
    "gripper_tip_offset_m": Spec(0.009, "From the tool frame's origin to the ends of the fingers", (0.0001, 1.0)),
    "gripper_approach_distance_m": Spec(0.08, "How far before the grasp the straight approach begins", (0.001, 2.0)),
    "publish_targets": Spec(True, "Output ~/targets"),
    "publish_point": Spec(True, "Output ~/target_point"),
    "publish_pose": Spec(True, "Output ~/target_pose"),
    "publish_pose_with_covariance": Spec(True, "Output ~/target_pose_with_covariance"),
    "publish_markers": Spec(True, "Output ~/markers"),
    "publish_detections": Spec(True, "Output ~/detections_3d, where vision_msgs is installed"),
    "publish_annotated": Spec(True, "Output ~/annotated/compressed, drawn only while somebody subscribes to it"),
    "annotated_rate_hz": Spec(5.0, "Annotated images per second at most", (0.1, 60.0)),
    "annotated_quality": Spec(80, "JPEG quality of annotated images", (1, 95)),
    "diagnostics_period_s": Spec(1.0, "Time between two messages on /diagnostics; 0: none", (0.0, 60.0), read_only=True),
    "lifespan_s": Spec(2.0, "After this time an answer is no longer delivered; 0: no limit", (0.0, 3600.0)),
    "marker_lifetime_s": Spec(10.0, "How long RViz shows an answer; 0: until the next", (0.0, 3600.0)),
}


RECORDER_SPECS = {
    "output": Spec("", "Folder to make for the recording; must not exist"),
    "compressed": Spec(False, "Record color/image_raw/compressed instead of color/image_raw"),
    "reliable": Spec(True, "Ask for images reliably, from a camera that offers it"),
    "server": Spec("molmo_point", "Name of the pointing node whose targets are recorded too"),
}


@dataclass(frozen=True)
class CameraSettings:
    """The parameters of CAMERA_SPECS."""

    camera: str
    recording: str
    restamp: bool
    bag: str
    bag_color_topic: str
    bag_depth_topic: str
    bag_info_topic: str
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
    rgbd: bool
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
    max_query_length: int
    max_image_px: int
    query: str
    max_rate_hz: float
    tracking: bool
    track_history_s: float
    track_hold_s: float
    workspace_frame: str
    workspace_min: list
    workspace_max: list
    min_confidence: float
    max_sigma_m: float
    max_target_age_s: float
    level_frame: str
    gripper_max_opening_m: float
    gripper_finger_width_m: float
    gripper_finger_thickness_m: float
    gripper_finger_depth_m: float
    gripper_tip_offset_m: float
    gripper_approach_distance_m: float
    publish_targets: bool
    publish_point: bool
    publish_pose: bool
    publish_pose_with_covariance: bool
    publish_markers: bool
    publish_detections: bool
    publish_annotated: bool
    annotated_rate_hz: float
    annotated_quality: int
    diagnostics_period_s: float
    lifespan_s: float
    marker_lifetime_s: float


@dataclass(frozen=True)
class PublisherSettings(CameraSettings):
    """The parameters of PUBLISHER_SPECS."""

    reliable: bool
    depth_encoding: str


def gripper_of(settings: PointingSettings) -> Gripper:
    """The gripper that the parameters describe.

    Raises:
        InputError: If its sizes do not fit together.
    """
    names = ("max_opening_m", "finger_width_m", "finger_thickness_m", "finger_depth_m", "tip_offset_m", "approach_distance_m")
    return Gripper(**{name: getattr(settings, f"gripper_{name}") for name in names})


def declare(node: Any, specs: dict[str, Spec]) -> None:
    """Declare every parameter of the table on the node; values outside their range or choices are refused, then and later.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: If a value given at start is refused.
    """
    node.add_on_set_parameters_callback(lambda given: _check(node, given, specs))
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


def _check(node: Any, given: list[Parameter], specs: dict[str, Spec]) -> SetParametersResult:
    for parameter in given:
        choices = specs[parameter.name].choices if parameter.name in specs else ()
        if choices and parameter.value not in choices:
            reason = f"{parameter.name} is {parameter.value!r}, but must be one of: {', '.join(choices)}"
            return SetParametersResult(successful=False, reason=reason)
    reason = _bad_box(node, {parameter.name: parameter.value for parameter in given})
    return SetParametersResult(successful=not reason, reason=reason)


def _bad_box(node: Any, given: dict[str, Any]) -> str:
    """What is wrong with the corners of the workspace box, as they would be; "" where nothing is."""
    corners = {}
    for name in ("workspace_min", "workspace_max"):
        if name not in given and not node.has_parameter(name):
            continue
        corner = given[name] if name in given else node.get_parameter(name).value
        if corner is None or len(corner) != 3 or any(math.isnan(value) for value in corner):
            return f"{name} is {corner!r}, but must be three numbers x, y, z in metres"
        corners[name] = corner
    if len(corners) == 2 and not set(given).isdisjoint(corners):
        low, high = corners["workspace_min"], corners["workspace_max"]
        if not all(a < b for a, b in zip(low, high)):
            return f"workspace_min {list(low)} must be below workspace_max {list(high)}; set both at once"
    return ""
