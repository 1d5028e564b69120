"""Mask of an object by its motion: what moves otherwise than the static scene between the frames of one take.

The camera may move: the dominant plane of the scene is aligned first, and an object that stands out of it shows by parallax.
"""

import math
from collections.abc import Sequence

import numpy as np

from molmo_point.arrays import BoolArray, FloatArray
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.masks.outline import fitted_to_color, import_cv2, largest_piece, widened, without_holes
from molmo_point.teaching.masks.piece import piece_at, pieces_of, place_in
from molmo_point.teaching.masks.scene_alignment import scene_warp
from molmo_point.teaching.object_mask import MaskDoubt, MaskSource, NoMask, ObjectMask, ViewRefusal

_SIDE_PX = 320
_MOVED_PX, _CLEARLY_PX = 1.2, 2.5
"""Motion against the scene, in pixels of an image of 320, that counts next to a clear one, and a clear one."""
_MOST_FRAMES = 6
_LEAST_SHARE, _RIVAL_SHARE, _MOST_SHARE = 0.002, 0.35, 0.45


def mask_by_motion(frame: RgbdFrame, before: Sequence[RgbdFrame], uv: tuple[float, float] | None = None) -> ObjectMask | NoMask:
    """Find what moved against the static scene, in the last frame of a take.

    Args:
        frame: The last frame.
        before: Earlier frames of the take, oldest first.
        uv: Pixel on the object that is meant; None takes the only one.

    Raises:
        InputError: The images differ in size.
        DependencyError: OpenCV is not installed.
    """
    if any(each.size_wh != frame.size_wh for each in before):
        given = f"{sorted({each.size_wh for each in before} | {frame.size_wh})} (width, height)"
        raise InputError("frames must be images of one size", given, "take all with one setting of the camera")
    motions = [motion for each in before[-_MOST_FRAMES:] if (motion := _motion(each, frame)) is not None]
    clear = [motion for motion in motions if np.mean(motion > _CLEARLY_PX) > _LEAST_SHARE]
    if not clear:
        return NoMask(ViewRefusal.NO_OBJECT, "Nothing moves against the scene: turn or move the object in front of the camera.")
    typical = np.median(np.stack(clear), axis=0)
    moved = _connected(typical)
    if np.mean(moved) > _MOST_SHARE:
        return NoMask(ViewRefusal.SCENE_CHANGED, "Most of the picture moves: move the object, and the camera slowly if at all.")
    full = import_cv2().resize(moved.astype(np.float32), frame.size_wh, interpolation=1) > 0.5
    pieces = pieces_of(full, _LEAST_SHARE)
    if not pieces:
        return NoMask(ViewRefusal.NO_OBJECT, "Nothing moves against the scene: turn or move the object in front of the camera.")
    chosen: BoolArray | None = pieces[0]
    if uv is not None:
        chosen = piece_at(pieces, uv)
        if chosen is None:
            return NoMask(ViewRefusal.NO_OBJECT, "Nothing moves against the scene at this point.", (uv,))
    elif (count := sum(np.count_nonzero(piece) >= _RIVAL_SHARE * np.count_nonzero(pieces[0]) for piece in pieces)) > 1:
        said = f"{count} objects move: move one alone, or click the one that is meant."
        return NoMask(ViewRefusal.SEVERAL_OBJECTS, said, tuple(place_in(piece) for piece in pieces[: int(count)]))
    assert chosen is not None
    # A plain object shows its motion at its outline alone.
    coarse = without_holes(largest_piece(chosen), 1.0)
    off_px = max(3.0, 0.15 * math.sqrt(np.count_nonzero(coarse)))
    mask, ignored, fits = fitted_to_color(frame.color, coarse, off_px)
    return ObjectMask(mask, ignored, MaskSource.MOTION, () if fits else (MaskDoubt.LOW_CONTRAST,))


def _motion(before: RgbdFrame, frame: RgbdFrame) -> FloatArray | None:
    """Return the motion (n, m) against the scene in pixels of a small image; None if the scene cannot be aligned."""
    cv2 = import_cv2()
    found = scene_warp(before.color, frame.color)
    if found is None:
        return None
    scale = _SIDE_PX / max(frame.size_wh)
    size = tuple(max(round(side * scale), 16) for side in frame.size_wh)
    warped = cv2.warpPerspective(before.color, found.warp, frame.size_wh, borderMode=cv2.BORDER_REPLICATE)
    grays = [
        cv2.cvtColor(cv2.resize(each, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for each in (frame.color, warped)
    ]
    flow = cv2.calcOpticalFlowFarneback(*grays, None, 0.5, 4, 13, 3, 5, 1.1, 0)
    # Where the flow explains nothing, it is no evidence.
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    back = cv2.remap(grays[1], columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR)
    still, moved = (cv2.blur(cv2.absdiff(grays[0], each).astype(np.float32), (5, 5)) for each in (grays[1], back))
    length = np.linalg.norm(flow, axis=2)
    return np.where(moved < still - 0.5, length, np.minimum(length, 0.5 * _MOVED_PX)).astype(np.float64)


def _connected(motion: FloatArray) -> BoolArray:
    cv2 = import_cv2()
    weak = motion > _MOVED_PX
    weak = cv2.morphologyEx(weak.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)).astype(bool)
    weak = widened(widened(weak, -2), 2)
    count, labels = cv2.connectedComponents(weak.astype(np.uint8), connectivity=8)
    area = np.bincount(labels.ravel(), minlength=count)
    sure = np.bincount(labels[motion > _CLEARLY_PX].ravel(), minlength=count)
    kept = np.flatnonzero(sure > 0.2 * area)
    return np.isin(labels, kept[kept > 0])
