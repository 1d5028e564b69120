"""The parameters of the pointing, camera and calibration nodes."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from molmo_point.camera.registry import CAMERAS, CameraDriver, CameraRequest, Option, parse_camera, usage
from molmo_point.cautions import CautionKind, caution_kinds
from molmo_point.errors import InputError
from molmo_point.frame import ROTATIONS
from molmo_point.geometry.depth_cameras import AUTO, depth_camera
from molmo_point.grasp.gripper import Gripper
from molmo_point_ros.conversions.field_checks import checked_queries
from molmo_point_ros.inputs.bag_driver import BAG
from molmo_point_ros.inputs.tf_edge import TransformLimits
from molmo_point_ros.parameter_declaration import NodeParameters, parameter
from molmo_point_ros.pointing.without_depth import WithoutDepthParameters

TOPICS = "topics"
"""Value of `camera` for frames from image topics."""
CAUTIONS = tuple(kind.value for kind in CautionKind)
_DEFAULT_UNIT_M = 0.001


@dataclass(frozen=True)
class ModelParameters(NodeParameters):
    """The model of a node."""

    model: str = parameter("tabletop", "Checkpoint: name of an embedded one, a folder, or a Hugging Face id")
    device: str = parameter("", "Device of the model: cpu, cuda, cuda:1, ...; empty: the fastest one available")
    quantization: str = parameter("", "Quantization of the model, e.g. nf4; empty: none")
    taught: str = parameter("", "File of the library of taught objects, which answer before the model; empty: none")
    require_trusted: bool = parameter(False, "Stop the targets of an answer that bears a caution")
    accept_cautions: list = parameter(
        [""], "Kinds of cautions that stop nothing", choices=tuple(kind.value for kind in CautionKind)
    )

    def accepted(self) -> frozenset[CautionKind]:
        """Return the kinds of cautions that stop nothing: all of them without `require_trusted`."""
        named = caution_kinds([name for name in self.accept_cautions if name])
        return named if self.require_trusted else frozenset(CautionKind)


def camera_parameter(driver: CameraDriver, name: str, *, shared: bool = False) -> Any:
    """Declare a field for the source or an option of a camera driver; 0 or empty leaves the value to the driver.

    Args:
        driver: The driver.
        name: Name of its source or of the option.
        shared: Other drivers have the option too, so that the description does not name the driver.
    """
    option: Option = next(each for each in (driver.source, *driver.options) if each.name == name)
    words = option.description
    description = words[0].upper() + words[1:] if shared else f"For camera={driver.name}: {words}"
    if isinstance(option.default, bool):
        return parameter(option.default, description)
    if option.limits is None:
        return parameter("", description)
    low, high = option.limits
    return parameter(0, description if low <= 0 else f"{description}; 0: as the camera has it", (0, high))


@dataclass(frozen=True)
class CameraParameters(NodeParameters):
    """A camera that a node opens itself. The text of `camera` wins over the other parameters."""

    camera: str = parameter("simulated", "Camera as docs/cameras.md lists them, e.g. realsense:SERIAL?fps=15", allowed=usage)
    recording: str = camera_parameter(CAMERAS["recording"], "recording")
    restamp: bool = parameter(True, "Stamp replayed frames with the time of their replay")
    bag: str = camera_parameter(BAG, "bag")
    bag_color_topic: str = camera_parameter(BAG, "color_topic")
    bag_depth_topic: str = camera_parameter(BAG, "depth_topic")
    bag_info_topic: str = camera_parameter(BAG, "info_topic")
    scene_seed: int = camera_parameter(CAMERAS["simulated"], "scene_seed")
    width: int = camera_parameter(CAMERAS["realsense"], "width", shared=True)
    height: int = camera_parameter(CAMERAS["realsense"], "height", shared=True)
    fps: int = camera_parameter(CAMERAS["realsense"], "fps", shared=True)
    depth_noise: bool = camera_parameter(CAMERAS["simulated"], "depth_noise")
    serial: str = camera_parameter(CAMERAS["realsense"], "serial")
    camera_transform: str = parameter("", "YAML file with the pose of the camera, published on /tf_static; empty: none")
    rectified: bool = parameter(False, "The images are rectified: use P of the camera info and no distortion")
    depth_unit_m: float = parameter(0.001, "Size of one unit of 16UC1 depth; REP 118 says 0.001", (1e-6, 0.1))
    max_skew_s: float = parameter(0.0167, "Largest time between color and depth: half a frame period", (0.0, 1.0))
    camera_model: str = parameter(
        AUTO, "Camera that measured the depth, for its noise, e.g. D435:848; auto: as the source says, else an estimate"
    )

    def request(self) -> CameraRequest:
        """Return the camera to open: the text of `camera`, with the parameters of its driver that the text lacks.

        A parameter has the name of the option, or the name of the driver before it. Nodes replay in real time, in a loop.

        Raises:
            InputError: The text names no camera, or a value is not one that the camera takes.
        """
        request = parse_camera(self.camera)
        values: dict[str, Any] = {"realtime": True, "loop": True}
        for each in dataclasses.fields(CameraParameters):
            value = vars(self)[each.name]
            if (value or isinstance(value, (bool, float))) and value != AUTO:
                values[each.name.removeprefix(f"{request.driver.name}_")] = value
        if self.depth_unit_m != _DEFAULT_UNIT_M:
            values["depth_scale_m"] = self.depth_unit_m
        return request.filled(values)

    def without_effect(self, names: tuple[str, ...]) -> str:
        """Return the refusal of a parameter of images that the camera does not take; "" if there is none."""
        driver = self.request().driver
        taken = {option.name for option in driver.options}
        taken |= {"depth_unit_m"} if "depth_scale_m" in taken else set()
        defaults = {each.name: each.default for each in dataclasses.fields(self)}
        for name in names:
            if name not in taken and vars(self)[name] != defaults[name]:
                return f"{name} must be left out with camera {driver.name}: it holds for image topics and recordings of ROS"
        return ""

    def conflict(self) -> str:
        """Refuse a camera that the registry does not have, and values that it does not take."""
        if self.camera == TOPICS:
            return f"camera must be one of: {usage()}"
        try:
            depth_camera(self.camera_model)
            return self.without_effect(("rectified", "depth_unit_m")) or super().conflict()
        except InputError as error:
            return str(error)


@dataclass(frozen=True)
class CameraNodeParameters(CameraParameters):
    """Parameters of the camera node."""

    reliable: bool = parameter(True, "Publish images reliably, for reliable and best-effort subscribers; false: sensor QoS")
    depth_encoding: str = parameter("16UC1", "Encoding of the depth image", choices=("16UC1", "32FC1"))

    def conflict(self) -> str:
        """Refuse what `CameraParameters` does, and a skew that the camera does not check."""
        return super().conflict() or self.without_effect(("max_skew_s",))


@dataclass(frozen=True)
class PointingNodeParameters(ModelParameters, CameraParameters, WithoutDepthParameters):
    """Parameters of the pointing node."""

    camera: str = parameter(
        TOPICS, "topics: images on topics; or a camera as docs/cameras.md lists them", allowed=lambda: f"{TOPICS}, {usage()}"
    )
    autostart: bool = parameter(True, "Configure and activate at start; false: a lifecycle manager does", read_only=True)
    compressed: bool = parameter(False, "Subscribe to color/image_raw/compressed instead of color/image_raw")
    reliable: bool = parameter(False, "Subscribe to images reliably; the camera must offer it")
    rgbd: bool = parameter(False, "Subscribe to rgbd instead (realsense2_camera_msgs/RGBD: one capture in one message)")
    rotate: int = parameter(0, "Clockwise turn to an upright picture for the model", (0, 270), choices=ROTATIONS, unit="deg")
    use_depth: bool = parameter(True, "Use depth; false: answers are pixels only")
    image_timeout_s: float = parameter(3.0, "Timeout of a goal for a complete image", (0.05, 600.0))
    max_image_age_s: float = parameter(1.0, "Largest age of the newest image that a goal accepts", (0.0, 1e9))
    optical_frame: str = parameter("", "Optical frame of the images, whatever their stamp says; empty: found out", frame=True)
    target_frame: str = parameter("", "Frame of the positions if the goal names none; empty: the optical frame", frame=True)
    tf_timeout_s: float = parameter(0.5, "Timeout for the transform at the capture time", (0.0, 60.0))
    tf_cache_s: float = parameter(10.0, "Age at which transforms are forgotten", (0.1, 3600.0))
    tf_max_gap_s: float = parameter(1.2, "Largest time between two transforms that are interpolated", (0.001, 60.0))
    tf_max_age_s: float = parameter(
        10.0, "Time after which a transform of /tf that is no longer published is not used", (0.1, 3600.0)
    )
    max_camera_motion_m: float = parameter(
        0.0, "Refuse an answer if the camera moved farther meanwhile, in target_frame; 0: no limit", (0.0, 1e3)
    )
    max_points: int = parameter(40, "Largest number of points per query, for every goal", (1, 1000))
    timeout_s: float = parameter(60.0, "Timeout of a goal that names none", (0.05, 3600.0))
    max_query_length: int = parameter(1000, "Largest number of characters in a query", (1, 1000))
    max_image_px: int = parameter(16_000_000, "Largest number of pixels in an image; refused undecoded above", (256, 64_000_000))
    query: str = parameter("", "Queries of continuous mode from activation on, separated by semicolons; empty: none")
    max_rate_hz: float = parameter(
        0.0, "Most answers per second in continuous mode if SetQuery names none; 0: no limit", (0.0, 1e3)
    )
    tracking: bool = parameter(True, "Track the points between answers in continuous mode (OpenCV); false: publish answers only")
    track_history_s: float = parameter(6.0, "Largest delay of an answer for tracking; 1 s of 640x480 takes 18 MB", (0.1, 120.0))
    track_hold_s: float = parameter(1.0, "Time for which a tracked point out of sight is searched for", (0.01, 60.0))
    workspace_frame: str = parameter(
        "", "Frame of the workspace box; empty: target_frame, or else the frame of the answer", frame=True
    )
    workspace_min: list = parameter(
        [-math.inf] * 3, "Gate: lower corner x, y, z of the box that positions must lie in; -.inf: no limit", unit="m"
    )
    workspace_max: list = parameter(
        [math.inf] * 3, "Gate: upper corner x, y, z of the box that positions must lie in; .inf: no limit", unit="m"
    )
    min_confidence: float = parameter(0.0, "Gate: least confidence of a target; 0: no limit", (0.0, 1.0))
    max_sigma_m: float = parameter(
        0.0, "Gate: largest standard deviation of a position along its least certain direction; 0: no limit", (0.0, 1e3)
    )
    max_target_age_s: float = parameter(0.0, "Gate: longest time from the capture to the answer; 0: no limit", (0.0, 1e9))
    level_frame: str = parameter("", "Frame with z up: grasps accept only a level plane as support; empty: any plane", frame=True)
    gripper_max_opening_m: float = parameter(0.08, "Largest distance between the fingers", (0.001, 1.0))
    gripper_finger_width_m: float = parameter(0.018, "Size of a finger across the closing direction", (0.001, 1.0))
    gripper_finger_thickness_m: float = parameter(0.01, "Size of a finger along the closing direction", (0.001, 1.0))
    gripper_finger_depth_m: float = parameter(0.045, "From the palm to the ends of the fingers", (0.005, 1.0))
    gripper_tip_offset_m: float = parameter(0.009, "From the origin of the tool frame to the ends of the fingers", (0.0001, 1.0))
    gripper_approach_distance_m: float = parameter(0.08, "Length of the straight approach before the grasp", (0.001, 2.0))
    publish_targets: bool = parameter(True, "Publish ~/targets")
    publish_point: bool = parameter(True, "Publish ~/target_point")
    publish_pose: bool = parameter(True, "Publish ~/target_pose")
    publish_pose_with_covariance: bool = parameter(True, "Publish ~/target_pose_with_covariance")
    publish_markers: bool = parameter(True, "Publish ~/markers")
    publish_detections: bool = parameter(True, "Publish ~/detections_3d if vision_msgs is installed")
    publish_annotated: bool = parameter(True, "Publish ~/annotated/compressed, drawn only for subscribers")
    annotated_rate_hz: float = parameter(5.0, "Most annotated images per second", (0.1, 60.0))
    annotated_quality: int = parameter(80, "JPEG quality of annotated images", (1, 95))
    alignment_period_s: float = parameter(
        5.0, "Least time between two frames whose depth is compared with color, in the background; 0: never", (0.0, 3600.0)
    )
    diagnostics_period_s: float = parameter(
        1.0, "Time between two messages on /diagnostics; 0: none", (0.0, 60.0), read_only=True
    )
    lifespan_s: float = parameter(2.0, "Time after which an answer is no longer delivered; 0: no limit", (0.0, 3600.0))
    marker_lifetime_s: float = parameter(10.0, "Time for which RViz shows an answer; 0: until the next", (0.0, 3600.0))

    def transform_limits(self) -> TransformLimits:
        """Return the limits of the transforms that are used."""
        return TransformLimits(self.tf_cache_s, self.tf_max_gap_s, self.tf_max_age_s)

    def queries(self) -> tuple[str, ...]:
        """Return the queries of continuous mode in the parameter `query`."""
        return tuple(part.strip() for part in self.query.split(";") if part.strip())

    def conflict(self) -> str:
        """Refuse an unknown camera, unusable queries, and a workspace box whose corners do not span a volume."""
        if self.queries():
            try:
                checked_queries(self.queries(), self.max_query_length)
            except InputError as error:
                return f"query: {error}"
        try:
            depth_camera(self.camera_model)
        except InputError as error:
            return str(error)
        corners = {"workspace_min": self.workspace_min, "workspace_max": self.workspace_max}
        for name, corner in corners.items():
            if len(corner) != 3 or any(math.isnan(value) for value in corner):
                return f"{name} is {list(corner)}, but must be three numbers x, y, z in meters"
        if not all(low < high for low, high in zip(*corners.values())):
            given = f"workspace_min {list(self.workspace_min)}, workspace_max {list(self.workspace_max)}"
            return f"workspace_min must be below workspace_max; given: {given}; set both at once"
        if self.camera == TOPICS:
            fix = "publish it on /tf_static instead, e.g. with ros2 run tf2_ros static_transform_publisher"
            return f"camera_transform must be left out with image topics; {fix}" if self.camera_transform else ""
        return super().conflict() or self.without_effect(("compressed", "rgbd"))


@dataclass(frozen=True)
class CaptureParameters(NodeParameters):
    """Parameters of the hand-eye capture."""

    board: str = parameter("", "YAML file of the board; empty: ChArUco 7 x 5 with 30 mm squares")
    setup: str = parameter("eye_in_hand", "Mounting of the camera", choices=("eye_in_hand", "eye_to_hand"))
    folder: str = parameter("samples", "Folder of the samples; must hold none yet")
    base_frame: str = parameter("base_link", "Frame of the arm's base", frame=True)
    gripper_frame: str = parameter("tool0", "Frame of the flange or gripper", frame=True)
    optical_frame: str = parameter("", "Optical frame of the images, whatever their stamp says; empty: found out", frame=True)
    count: int = parameter(15, "Number of samples to take", (5, 1000))
    reliable: bool = parameter(False, "Subscribe to images reliably; the camera must offer it")


def gripper_of(parameters: PointingNodeParameters) -> Gripper:
    """Return the gripper that the parameters describe.

    Raises:
        InputError: If its sizes do not fit together.
    """
    return Gripper(
        max_opening_m=parameters.gripper_max_opening_m,
        finger_width_m=parameters.gripper_finger_width_m,
        finger_thickness_m=parameters.gripper_finger_thickness_m,
        finger_depth_m=parameters.gripper_finger_depth_m,
        tip_offset_m=parameters.gripper_tip_offset_m,
        approach_distance_m=parameters.gripper_approach_distance_m,
    )
