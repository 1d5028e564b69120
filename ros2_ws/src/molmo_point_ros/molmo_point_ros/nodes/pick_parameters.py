"""The parameters of the picking node."""

import math
from dataclasses import dataclass

from molmo_point.arm.arm_registry import usage
from molmo_point.errors import InputError
from molmo_point.geometry.depth_cameras import AUTO, depth_camera
from molmo_point.picking.held_object import ASIDE_XY_M, HAND_OVER_XY_M, SPACING_M
from molmo_point_ros.nodes.parameters import CAUTIONS, ModelParameters
from molmo_point_ros.parameter_declaration import parameter


@dataclass(frozen=True)
class PickNodeParameters(ModelParameters):
    """Parameters of the picking node."""

    require_trusted: bool = parameter(True, "Move nothing on an answer that bears a caution", read_only=True)
    accept_cautions: list = parameter([""], "Kinds of cautions that stop nothing", choices=CAUTIONS, read_only=True)
    least_confidence: float = parameter(
        0.5, "Least confidence of the object that is picked; needs require_trusted", (0.0, 1.0), read_only=True
    )
    without_depth: bool = parameter(
        False, "Use no depth: the wrist camera looks from several places, and obstacles are not seen", read_only=True
    )
    arm: str = parameter("simulated", "Arm: a registered name, or module:factory of your own", allowed=usage)
    scene_seed: int = parameter(0, "Seed of the random table of the simulated arm", (0, 1_000_000))
    object_count: int = parameter(0, "Number of objects on the table; 0: 3 to 10, by the seed", (0, 10))
    containers: str = parameter("", "Containers on the table: bowl, plate, tray, box, separated by commas; empty: none")
    width: int = parameter(640, "Width of the images of the cameras", (64, 1920), unit="px")
    height: int = parameter(480, "Height of the images of the cameras", (64, 1200), unit="px")
    depth_noise: bool = parameter(True, "Give the simulated depth the noise and holes of a D435")
    pace: float = parameter(1.0, "Most simulated seconds per second; 0: no limit", (0.0, 100.0))
    camera_fps: float = parameter(2.0, "Images per second of each camera with a subscriber; 0: none", (0.0, 30.0), unit="Hz")
    camera_model: str = parameter(
        AUTO, "Camera that measured the depth, for its noise, e.g. D435:848; auto: as the arm's cameras say, else an estimate"
    )
    attempts: int = parameter(3, "Attempts at a pick if the goal names no number", (1, 10))
    timeout_s: float = parameter(120.0, "Timeout of a goal that names none, by the node's clock", (0.05, 3600.0))
    stop_without_client: bool = parameter(False, "Stop the arm when no client listens to the feedback of the goal any more")
    aside_xy_m: list = parameter(
        list(ASIDE_XY_M), "Center of the first of six places for putting aside, in the base frame", unit="m"
    )
    hand_over_xy_m: list = parameter(
        list(HAND_OVER_XY_M), "Center of the first place for handing over, in the base frame", unit="m"
    )
    place_spacing_m: float = parameter(SPACING_M, "Distance between two of these places, along x and then along -y", (0.02, 1.0))
    video_folder: str = parameter("", "Folder for a video of every goal (needs OpenCV or PyAV); empty: none")
    video_fps: float = parameter(8.0, "Pictures per simulated second in the videos", (1.0, 30.0), unit="Hz")

    def conflict(self) -> str:
        """Refuse places that are no points, and an unknown camera model."""
        try:
            depth_camera(self.camera_model)
        except InputError as error:
            return str(error)
        for name, place in (("aside_xy_m", self.aside_xy_m), ("hand_over_xy_m", self.hand_over_xy_m)):
            if len(place) != 2 or not all(math.isfinite(value) for value in place):
                return f"{name} must be two finite numbers; given: {list(place)}; give x and y in meters, base frame"
        return super().conflict()
