"""Questions about a source of frames: values that are legal, mostly wrong, and for the user to decide."""

from collections.abc import Callable

import numpy as np

from molmo_point.arrays import DepthArray
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.camera_limits import OTHER_RESOLUTION, off_center
from molmo_point.geometry.depth_cameras import camera_of_words
from molmo_point.text_checks import printable

NEAREST_TYPICAL_M, FARTHEST_NEAR_M, FARTHEST_TYPICAL_M = 0.1, 2.5, 5.0
"""Least median of a plausible depth image, and the most of its 5th percentile and of its median, in meters."""
_LEAST_DEPTHS = 50
_ODD_SQUEEZE = 1.1


class SourceQuestions:
    """Questions about a source of frames that a user can answer: its depth unit, its intrinsics, its camera.

    A frame that is far too near or too far is legal, but mostly in another unit. Every source asks once, in one line each.

    Args:
        say: Called with each question, e.g. a logger's `warning`.
        source: Name of the source.
        unit_option: Setting that states the depth unit, in the words of the source.
        names: Further names that may tell the camera, such as topics.
    """

    def __init__(self, say: Callable[[str], None], source: str, unit_option: str, names: str = "") -> None:
        self._say, self._source, self._unit_option, self._names = say, printable(source), unit_option, names
        self._open = [self._depth_question, _intrinsics_question, self._camera_question]

    def ask(self, frame: RgbdFrame) -> RgbdFrame:
        """Ask what the first frame with depth and the first frame with intrinsics raise; return the frame."""
        for question in tuple(self._open):
            answer = question(frame)
            if answer is not None:
                self._open.remove(question)
            if answer:
                self._say(f"{self._source}: {answer}")
        return frame

    def _depth_question(self, frame: RgbdFrame) -> str | None:
        """Return the question; empty if there is none, None if the frame cannot tell."""
        if frame.depth_m is None:
            return None
        typical = depth_range(frame.depth_m)
        if typical is None:
            return None
        near_m, typical_m = typical
        if is_plausible(near_m, typical_m):
            return ""
        return (
            f"is the depth in the right unit? Its median is {typical_m:.3g} m, the nearest 5 % end at {near_m:.3g} m; "
            f"if not, set {self._unit_option}, in meters per unit (0.001 for millimeters)"
        )

    def _camera_question(self, frame: RgbdFrame) -> str | None:
        """Ask for the camera model that names hint at; a name alone states no noise."""
        if frame.depth_m is None:
            return None
        model = "" if frame.depth_noise is not None else camera_of_words(f"{self._source} {self._names} {frame.frame}")
        return model and f"is the depth that of a {model}, as names say? Set camera_model to state it; its noise is estimated now"


def depth_range(depth_m: DepthArray) -> tuple[float, float] | None:
    """Return the 5th percentile and the median of a depth image; None if too little was measured."""
    height, width = depth_m.shape
    known = depth_m[:: height // 64 + 1, :: width // 64 + 1]
    known = known[np.isfinite(known)]
    if known.size < _LEAST_DEPTHS:
        return None
    near_m, typical_m = np.percentile(known, (5, 50)).tolist()
    return near_m, typical_m


def is_plausible(near: float, typical: float, unit_m: float = 1.0) -> bool:
    """Test whether a depth image is one of a robot's surroundings, by its 5th percentile and its median, in units."""
    near_m, typical_m = near * unit_m, typical * unit_m
    return typical_m >= NEAREST_TYPICAL_M and near_m <= FARTHEST_NEAR_M and typical_m <= FARTHEST_TYPICAL_M


def _intrinsics_question(frame: RgbdFrame) -> str | None:
    if frame.intrinsics is None:
        return None
    lens = frame.intrinsics
    off = max(off_center((lens.cx, lens.cy), lens.whole), key=abs)
    squeeze = max(lens.fx, lens.fy) / min(lens.fx, lens.fy)
    if abs(off) <= OTHER_RESOLUTION and squeeze <= _ODD_SQUEEZE:
        return ""
    odd = f"cx={lens.cx:g}, cy={lens.cy:g}" if abs(off) > OTHER_RESOLUTION else f"fx={lens.fx:g}, fy={lens.fy:g}"
    return f"are the intrinsics those of this image of {lens.width} x {lens.height} pixels? They have {odd}"
