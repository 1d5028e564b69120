"""A frame with the transforms of its capture time.

The transforms are looked up before the model starts: the camera may have moved when it has answered.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from molmo_point.errors import FrameError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.inputs.tf_listener import TransformSource, wait_for_transform
from molmo_point_ros.pointing.gates import Gates
from molmo_point_ros.pointing.without_depth import NO_PLANE, WithoutDepth


@dataclass(frozen=True, eq=False)
class StampedFrame:
    """A frame with the pose of its camera.

    Attributes:
        frame: Image, depth, intrinsics, capture time; without depth, the known plane.
        target_T_camera: Into the frame of the published positions; None for the optical frame.
        workspace_T_camera: Into the frame of the workspace box; None without a box, or for the optical frame.
        level_T_camera: Into a frame with z up; None if none was asked for.
        world_T_camera: Into the frame in which several views are joined; None for a frame with depth, or without that frame.
    """

    frame: RgbdFrame
    target_T_camera: Transform | None = None
    workspace_T_camera: Transform | None = None
    level_T_camera: Transform | None = None
    world_T_camera: Transform | None = None


def stamped_frame(
    frame: RgbdFrame,
    wanted: str,
    gates: Gates,
    transforms: TransformSource,
    timeout_s: float,
    should_stop: Callable[[], bool],
    level_frame: str = "",
    without_depth: WithoutDepth = NO_PLANE,
) -> StampedFrame | None:
    """Look up the transforms of a frame, and wait for late ones.

    Args:
        frame: The frame.
        wanted: Frame of the published positions; "" is the optical frame.
        gates: With the frame of the workspace box.
        transforms: The tree of frames.
        timeout_s: Timeout for each transform.
        should_stop: Ends the wait.
        level_frame: Name of a frame with z up; "" is none.
        without_depth: Settings for a frame without depth.

    Returns:
        The frame with its transforms; None when told to stop.

    Raises:
        FrameError: If a transform at the capture time is not known in time, or the frame is not an optical one.
    """
    found: dict[str, Transform] = {}
    box = (gates.workspace_frame or wanted) if gates.has_workspace else ""
    is_flat = frame.depth_m is None and frame.intrinsics is not None
    more = without_depth.frames if is_flat else ()
    for name in dict.fromkeys((wanted, box, level_frame, *more)):
        if not name or name == frame.frame:
            continue
        transform = wait_for_transform(transforms, name, frame.frame, frame.stamp_ns, timeout_s, should_stop)
        if transform is None:
            return None
        found[name] = transform
    # The transforms may have told only now that the image has the body frame of its camera.
    if transforms.in_optical_frame(frame).frame != frame.frame:
        given = f"image in {frame.frame!r}, its optical frame {transforms.in_optical_frame(frame).frame!r}"
        raise FrameError("The optical frame of the images was found too late", given, "ask again")
    plane = without_depth.plane if is_flat else None
    if plane is not None:
        frame = replace(frame, plane=plane if plane.frame == frame.frame else plane.transformed(found[plane.frame].inverse()))
    world = found.get(without_depth.world_frame) if is_flat else None
    return StampedFrame(frame, found.get(wanted), found.get(box), found.get(level_frame), world)
