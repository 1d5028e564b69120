"""The parameters of the picking node."""

from dataclasses import dataclass

from molmo_point.picking.drop_zones import ASIDE_XY_M, HAND_OVER_XY_M, SPACING_M
from molmo_point_ros.nodes.parameters import CAMERA_SPECS, MODEL_SPECS, Spec

PICK_SPECS = {
    **MODEL_SPECS,
    "scene_seed": Spec(0, "Which random table the simulated arm stands at", (0, 1_000_000)),
    "object_count": Spec(0, "How many things stand on it; 0: as the seed has it, 3 to 10", (0, 10)),
    "containers": Spec("", "Containers among them: bowl, plate, tray, box, with commas between; empty: none"),
    "width": Spec(640, "Width of the cameras' images in pixels", (64, 1920)),
    "height": Spec(480, "Height of the cameras' images in pixels", (64, 1200)),
    "depth_noise": CAMERA_SPECS["depth_noise"],
    "pace": Spec(1.0, "Simulated seconds per second at most; 0: as fast as it goes", (0.0, 100.0)),
    "camera_fps": Spec(2.0, "Images per second of each camera that somebody subscribes to; 0: none", (0.0, 30.0)),
    "attempts": Spec(3, "How often a pick is tried where the goal names no number", (1, 10)),
    "timeout_s": Spec(120.0, "Time for a goal that names none, by the node's clock", (0.05, 3600.0)),
    "aside_xy_m": Spec(list(ASIDE_XY_M), "Base frame: middle of the first place to put things aside; five more follow"),
    "hand_over_xy_m": Spec(list(HAND_OVER_XY_M), "Base frame: middle of the first place where things are handed over"),
    "place_spacing_m": Spec(SPACING_M, "Between two of these places, along x and then along -y", (0.02, 1.0)),
    "video_folder": Spec("", "Folder for a video of every goal (needs OpenCV or PyAV); empty: none"),
    "video_fps": Spec(8.0, "Pictures per simulated second in the videos", (1.0, 30.0)),
}


@dataclass(frozen=True)
class PickSettings:
    """The parameters of PICK_SPECS."""

    model: str
    device: str
    quantization: str
    scene_seed: int
    object_count: int
    containers: str
    width: int
    height: int
    depth_noise: bool
    pace: float
    camera_fps: float
    attempts: int
    timeout_s: float
    aside_xy_m: list
    hand_over_xy_m: list
    place_spacing_m: float
    video_folder: str
    video_fps: float
