"""The optical frame of images: found where a driver stamps them with the body frame of the camera. No node.

An image is seen along z of its optical frame (x right, y down). Gazebo, Webots and some drivers stamp it with the body
frame (x forward, z up), in which every position would be turned. The evidence, in this order: the name, an optical frame or
a body frame at the same place, and a level surface below the camera in the frame of the root, which has z up.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Sequence

import numpy as np

from molmo_point.errors import FrameError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.poses import pose_difference
from molmo_point.geometry.rigid import angle_between
from molmo_point.geometry.transforms import Transform
from molmo_point_ros.inputs.frame_sources import FrameSource
from molmo_point_ros.inputs.tf_buffer import Neighbor, TransformBuffer

BODY_R_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation from the optical to the body axes of a camera (REP 103)."""
_NEAR_M, _EXACT_M, _TWIN_M = 0.05, 0.001, 0.1
_NEAR_RAD, _TWIN_RAD = np.radians(5.0), np.radians(10.0)
_SAME_M, _SAME_RAD = 0.005, np.radians(1.0)
_BODY = re.compile(r"(link|body)_?\d*$|(^|_)(color|rgb|depth|infra\d*|ir|left|right)(_camera)?_frame$")
"""Name of a body frame, as REP 103 and the drivers form it."""
_NO_BASE = re.compile(r"tool|tcp|grip|hand|flange|wrist|effector|marker|tag|cam|optical")
"""Root of a tree that need not have z up."""
_LOOKS_UP, _LOOKS_STEEPLY_UP = 0.35, 0.8
"""Sine of the elevation above the horizon, for a camera whose frame is questioned."""
_STEP_PX, _LEAST_POINTS, _SLAB_M, _SLAB_SHARE, _CLEAR_M = 16, 50, 0.04, 0.35, 0.05
_KEPT_S = 1.0
_WAIT_S = 0.02
_FIX = (
    "stamp the images with the optical frame, publish that frame (static, roll -90 and yaw -90 degrees), "
    "or set the parameter optical_frame to the name of the frame that has z forward"
)


class OpticalFrames:
    """Gives images the name of their optical frame.

    Args:
        buffer: Tree of the transforms.
        override: Name of the optical frame of all images; "" judges every frame by the evidence.
        level_frame: Frame with z up; "" takes the root of the tree.
        on_body: Called once for each body frame whose images are used, with a warning.
    """

    def __init__(
        self, buffer: TransformBuffer, override: str = "", level_frame: str = "", on_body: Callable[[str], None] = print
    ) -> None:
        self._buffer, self._override, self._level_frame, self._on_body = buffer, override.lstrip("/"), level_frame, on_body
        self._kept: dict[str, tuple[float, int, str | FrameError]] = {}
        self._by_surface: dict[str, str] = {}
        self._told: set[str] = set()

    def of(self, frame: RgbdFrame) -> RgbdFrame:
        """Return the frame in its optical frame. An image without depth has no position, and stays as it is.

        Raises:
            FrameError: If the frame seems to be a body frame, and its optical frame is unknown.
        """
        name = self.name(frame.frame, frame) if frame.depth_m is not None else frame.frame
        return frame if name == frame.frame else dataclasses.replace(frame, frame=name)

    def name(self, name: str, frame: RgbdFrame | None = None) -> str:
        """Return the optical frame of images that are stamped with a frame.

        Args:
            name: The frame of the images.
            frame: An image with depth that shows the surface below the camera; None if there is none.

        Raises:
            FrameError: As `of`.
        """
        if self._override or "optical" in name.lower():
            return self._override or name
        kept_s, size, found = self._kept.get(name, (-np.inf, 0, ""))
        if not found or time.monotonic() - kept_s > _KEPT_S or size != len(self._buffer):
            size = len(self._buffer)
            found = self._judged(name, frame)
            self._kept[name] = (time.monotonic(), size, found)
        if isinstance(found, FrameError):
            raise FrameError(found.what, found.given, found.fix)
        if found != name and name not in self._told:
            self._told.add(name)
            self._on_body(f"the images are stamped with the body frame {name!r}; their optical frame {found!r} is used instead")
        return found

    def _judged(self, name: str, frame: RgbdFrame | None) -> "str | FrameError":
        near = self._buffer.near(name)
        # The frame is the optical twin of a body frame.
        if any(_turn(each.frame_T_other.rotation.T) < _TWIN_RAD and _away_m(each) < _TWIN_M for each in near):
            return name
        below = [each for each in near if _turn(each.frame_T_other.rotation) < _NEAR_RAD and _away_m(each) < _NEAR_M]
        below = [each for each in below if "optical" in each.name.lower() or (each.is_child and _away_m(each) < _EXACT_M)]
        if below:
            found = _chosen(below)
            return found or _doubt(name, f"its optical frames are at different places: {', '.join(each.name for each in below)}")
        if name not in self._by_surface:
            reason = self._reason(name, frame)
            if reason is None:
                return _doubt(name, "its name is that of a body frame") if _has_body_name(name) else name
            self._by_surface[name] = reason
        return _doubt(name, self._by_surface[name]) if self._by_surface[name] else name

    def _reason(self, name: str, frame: RgbdFrame | None) -> str | None:
        """Return the reason for a doubt from the surfaces in sight; "" for a sight as from an optical frame; else None."""
        base = self._level_frame or self._buffer.root(name)
        if frame is None or frame.intrinsics is None or base == name or (_NO_BASE.search(base) and not self._level_frame):
            return None
        try:
            rotation = self._buffer.lookup(base, name, None).rotation
        except FrameError:
            return None
        upward, is_questioned = float(rotation[2, 2]), _has_body_name(name)
        if not is_questioned and upward < _LOOKS_UP:
            return None
        as_optical, as_body = (_level_surface(frame, axes) for axes in (rotation, rotation @ BODY_R_OPTICAL))
        if as_optical < 0 and as_body >= 0:
            return ""
        if as_body < 0 <= as_optical:
            return f"the level surface in sight would not be below the camera in {base!r}"
        return f"it would look upwards in {base!r}" if upward > _LOOKS_STEEPLY_UP and as_optical >= 0 else None


class OpticalSource(FrameSource):
    """A source whose frames are in their optical frame.

    Args:
        source: Source of frames that may be stamped with a body frame.
        optical: Returns a frame in its optical frame; raises FrameError if that is unknown.
        timeout_s: Timeout for the transforms that tell.
    """

    def __init__(self, source: FrameSource, optical: Callable[[RgbdFrame], RgbdFrame], timeout_s: float) -> None:
        self._source, self._optical, self._timeout_s = source, optical, timeout_s
        self.pose: Transform | None = source.pose

    def frame(self, after_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.frame`."""
        frame = self._source.frame(after_ns, timeout_s, should_stop)
        deadline_s = time.monotonic() + self._timeout_s
        while frame is not None:
            try:
                return self._optical(frame)
            except FrameError:
                if time.monotonic() >= deadline_s or should_stop():
                    raise
            time.sleep(_WAIT_S)
        return None

    def newer(self, than_ns: int, timeout_s: float, should_stop: Callable[[], bool]) -> RgbdFrame | None:
        """See `FrameSource.newer`."""
        frame = self._source.newer(than_ns, timeout_s, should_stop)
        return None if frame is None else self._optical(frame)

    def at(self, stamp_ns: int) -> RgbdFrame | None:
        """See `FrameSource.at`."""
        frame = self._source.at(stamp_ns)
        return None if frame is None else self._optical(frame)

    def received(self) -> int:
        """See `FrameSource.received`."""
        return self._source.received()

    def dropped(self) -> dict[str, int]:
        """See `FrameSource.dropped`."""
        return self._source.dropped()

    def incompatible_publishers(self) -> int:
        """See `FrameSource.incompatible_publishers`."""
        return self._source.incompatible_publishers()

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._source.close()


def _has_body_name(name: str) -> bool:
    return any(_BODY.search(part) for part in re.split("/|::", name.lower()))


def _doubt(name: str, reason: str) -> FrameError:
    return FrameError("The images must be in an optical frame (z forward)", f"{name!r}: {reason}", _FIX)


def _turn(body_R_optical: np.ndarray) -> float:
    """Return the angle to the rotation between body and optical axes, in radians."""
    return float(angle_between(body_R_optical, BODY_R_OPTICAL))


def _away_m(neighbor: Neighbor) -> float:
    return float(np.linalg.norm(neighbor.frame_T_other.translation_m))


def _chosen(below: Sequence[Neighbor]) -> str:
    """Return the optical frame of color images among those of one camera; "" if they are at different places."""
    color = [each for each in below if re.search("color|rgb", each.name.lower())]
    for pool in (below, color, [each for each in color or below if _away_m(each) < _EXACT_M]):
        if pool and all(_is_same(pool[0], each) for each in pool):
            return next((each.name for each in pool if each in color), pool[0].name)
    return ""


def _is_same(one: Neighbor, other: Neighbor) -> bool:
    apart_m, angle_rad = pose_difference(one.frame_T_other, other.frame_T_other)
    return bool(angle_rad < _SAME_RAD and apart_m < _SAME_M)


def _level_surface(frame: RgbdFrame, base_R_camera: np.ndarray) -> int:
    """Return 1 if a large level surface is above the camera, -1 if one is below it, 0 for none."""
    assert frame.depth_m is not None and frame.intrinsics is not None
    step = max(min(frame.size_wh) // _STEP_PX, 1)
    v, u = np.mgrid[0 : frame.size_wh[1] : step, 0 : frame.size_wh[0] : step]
    points = frame.intrinsics.deproject(np.stack([u, v], axis=-1), frame.depth_m[::step, ::step])
    heights = np.sort((points @ base_R_camera[2]).ravel())
    heights = heights[~np.isnan(heights)]
    if heights.size < _LEAST_POINTS:
        return 0
    counts = np.searchsorted(heights, heights + _SLAB_M) - np.arange(heights.size)
    densest = int(np.argmax(counts))
    middle_m = float(heights[densest]) + _SLAB_M / 2
    if counts[densest] < _SLAB_SHARE * heights.size or abs(middle_m) < _CLEAR_M:
        return 0
    return 1 if middle_m > 0 else -1
