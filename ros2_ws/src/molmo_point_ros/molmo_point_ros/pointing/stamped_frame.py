"""A frame with the transforms of its capture time: what every answer is made of.

The transforms are looked up before the model starts. When it has answered, the camera may be elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from molmo_point.errors import FrameError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.inputs.tf_listener import TransformSource, wait_for_transform
from molmo_point_ros.nodes.goal_error import CODES, GoalError
from molmo_point_ros.pointing.gates import Gates


@dataclass(frozen=True, eq=False)
class Capture:
    """One capture, and where its camera was.

    Attributes:
        frame: Image, depth, intrinsics, capture time.
        target_T_camera: Into the frame that positions are wanted in; None is the optical frame.
        workspace_T_camera: Into the frame of the workspace box; None where there is no box, or it is in the optical frame.
        level_T_camera: Into a frame whose z axis points up; None where none is asked for.
    """

    frame: RgbdFrame
    target_T_camera: Transform | None = None
    workspace_T_camera: Transform | None = None
    level_T_camera: Transform | None = None


def freeze(
    frame: RgbdFrame,
    wanted: str,
    gates: Gates,
    transforms: TransformSource,
    timeout_s: float,
    should_stop: Callable[[], bool],
    level_frame: str = "",
) -> Capture | None:
    """The capture with its transforms, waiting for those that are only late; None when told to stop.

    Args:
        frame: The frame.
        wanted: Name of the frame that positions are wanted in; "" is the optical frame.
        gates: Whose box may be in a frame of its own.
        transforms: The tree.
        timeout_s: How long to wait for each transform.
        should_stop: Whether to stop waiting.
        level_frame: Name of a frame whose z axis points up; "" is none.

    Raises:
        GoalError: TF_ERROR where a transform at the capture time is not known.
    """
    found: dict[str, Transform] = {}
    box = (gates.workspace_frame or wanted) if gates.has_workspace else ""
    for name in dict.fromkeys((wanted, box, level_frame)):
        if not name or name == frame.frame:
            continue
        try:
            transform = wait_for_transform(transforms, name, frame.frame, frame.stamp_ns, timeout_s, should_stop)
        except FrameError as error:
            raise GoalError(CODES.TF_ERROR, error.what, error.given, error.fix) from error
        if transform is None:
            return None
        found[name] = transform
    return Capture(frame, found.get(wanted), found.get(box), found.get(level_frame))
