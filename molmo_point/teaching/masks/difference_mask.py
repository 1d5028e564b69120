"""Mask of an object by its difference to the empty scene, in color and depth.

Light that flickers changes all colors by one factor; a shadow makes them darker without changing their tint. Neither counts.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.depth.frame_noise import noise_of
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.masks.outline import fitted_to_color, import_cv2, largest_piece, widened, without_holes
from molmo_point.teaching.masks.piece import piece_at, pieces_of, place_in
from molmo_point.teaching.masks.scene_alignment import scene_warp
from molmo_point.teaching.object_mask import MaskDoubt, MaskSource, NoMask, ObjectMask, ViewRefusal

_TINT, _STRONG_TINT = 11.0, 22.0
"""Change of tint, in levels of 255, that counts next to a strong one, and by itself."""
_BRIGHTER, _DARKER = 1.25, 0.42
"""Factors of the brightness beyond which a change is neither light nor shadow."""
_STEP_M, _STEP_SIGMAS = 0.006, 5.0
_LEAST_SHARE, _LEAST_PIXELS = 0.0004, 80
_RIVAL_SHARE, _MOST_CHANGED = 0.25, 0.4
_STILL_PX, _FARTHEST_SHARE = 0.6, 0.08


def mask_by_difference(frame: RgbdFrame, empty: RgbdFrame, uv: tuple[float, float] | None = None) -> ObjectMask | NoMask:
    """Find the object that was put into a scene.

    A small motion of the camera is undone first, if the scene has texture.

    Args:
        frame: Frame with the object.
        empty: Frame of the same scene without it.
        uv: Pixel on the object that is meant; None takes the only one.

    Raises:
        InputError: The images differ in size.
        DependencyError: OpenCV is not installed.
    """
    if frame.size_wh != empty.size_wh:
        given = f"{empty.size_wh} and {frame.size_wh} (width, height)"
        raise InputError("empty scene and view must be images of one size", given, "take both with one setting of the camera")
    moved = _undone(frame, empty)
    if moved is None:
        return _scene_changed("The camera moved since the empty scene was seen: show the empty scene again.")
    strong, weak = _changes(frame, moved)
    found = _connected(strong, weak)
    if np.mean(found) > _MOST_CHANGED:
        share = 100 * float(np.mean(found))
        said = f"{share:.0f} % of the picture changed: show the empty scene again, with camera and light still."
        return _scene_changed(said)
    pieces = pieces_of(found, _LEAST_SHARE)
    if not pieces:
        return NoMask(ViewRefusal.NO_OBJECT, "Nothing differs from the empty scene: put the object in front of the camera.")
    areas = [np.count_nonzero(piece) for piece in pieces]
    chosen = pieces[0]
    if uv is not None:
        at = piece_at(pieces, uv)
        if at is None:
            return NoMask(ViewRefusal.NO_OBJECT, "Nothing differs from the empty scene at this point.", (uv,))
        chosen = at
    elif (count := sum(area >= _RIVAL_SHARE * areas[0] for area in areas)) > 1:
        said = f"{count} objects differ from the empty scene: show one alone, or click the one that is meant."
        places = tuple(place_in(piece) for piece in pieces[: int(count)])
        return NoMask(ViewRefusal.SEVERAL_OBJECTS, said, places)
    return _fitted(frame.color, chosen)


def _scene_changed(said: str) -> NoMask:
    return NoMask(ViewRefusal.SCENE_CHANGED, said)


def _fitted(color: ColorArray, coarse: BoolArray) -> ObjectMask:
    coarse = without_holes(largest_piece(coarse), 0.3)
    off_px = max(2.0, 0.04 * math.sqrt(np.count_nonzero(coarse)))
    mask, ignored, clear = fitted_to_color(color, coarse, off_px)
    return ObjectMask(mask, ignored, MaskSource.DIFFERENCE, () if clear else (MaskDoubt.LOW_CONTRAST,))


def _changes(frame: RgbdFrame, empty: RgbdFrame) -> tuple[BoolArray, BoolArray]:
    """Return the pixels (h, w) that changed for sure, and those that may have."""
    tint, factor = _color_change(frame.color, empty.color)
    strong = (tint > _STRONG_TINT) | (factor > 1.6)
    weak = (tint > _TINT) | (factor > _BRIGHTER) | (factor < _DARKER)
    if frame.depth_m is None or empty.depth_m is None:
        return strong | (factor < 0.5 * _DARKER), weak
    sigma = noise_of(frame).sigma_z(
        empty.depth_m.astype(np.float64), 600.0 if frame.intrinsics is None else frame.intrinsics.focal_px
    )
    with np.errstate(invalid="ignore"):
        step = empty.depth_m - frame.depth_m
        limit = np.maximum(_STEP_M, _STEP_SIGMAS * sigma)
        nearer, farther = step > limit, step < -2.0 * limit
        same = np.abs(step) <= 0.5 * limit
    nearer = _opened(nearer, 1.5)
    # A flat object shows in its tint alone; where depth is the same, brightness is light or shadow.
    flat = strong & (tint > _STRONG_TINT)
    return (nearer | flat) & ~farther, (nearer | (weak & ~(same & (tint < _STRONG_TINT)))) & ~farther


def _color_change(color: ColorArray, empty: ColorArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the change of tint (h, w) in levels, and the factor (h, w) of the brightness, without that of the light."""
    cv2 = import_cv2()
    now, before = (cv2.GaussianBlur(each.astype(np.float32), (0, 0), 1.2) for each in (color, empty))
    usable = (before > 12).all(axis=2) & (before < 245).all(axis=2) & (now < 245).all(axis=2)
    if usable.sum() > 200:
        gain = np.median((now[usable] + 4.0) / (before[usable] + 4.0), axis=0)
        before = np.minimum((before + 4.0) * gain - 4.0, 255.0).clip(0.0)
    # Neighbors stand in for one another: a camera is never still to the pixel.
    best_tint = np.full(color.shape[:2], np.inf, np.float32)
    best_factor = np.ones_like(best_tint)
    for down, across in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
        other = np.roll(before, (down, across), (0, 1))
        square = np.sum(other**2, axis=2) + 30.0
        factor = (np.sum(now * other, axis=2) + 30.0) / square
        tint = np.linalg.norm(now - factor[..., None] * other, axis=2)
        better = tint + 20.0 * np.abs(np.log(np.maximum(factor, 0.02))) < best_tint + 20.0 * np.abs(
            np.log(np.maximum(best_factor, 0.02))
        )
        best_tint = np.where(better, tint, best_tint)
        best_factor = np.where(better, factor, best_factor)
    return best_tint, best_factor


def _connected(strong: BoolArray, weak: BoolArray) -> BoolArray:
    """Return the pieces of weak changes that hold enough of strong ones."""
    cv2 = import_cv2()
    either = _opened(weak | strong, 1.0)
    side = max(either.shape)
    closed = cv2.morphologyEx(either.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8), iterations=max(1, side // 400))
    count, labels = cv2.connectedComponents(closed, connectivity=8)
    area = np.bincount(labels.ravel(), minlength=count)
    sure = np.bincount(labels[_opened(strong, 1.0)].ravel(), minlength=count)
    kept = np.flatnonzero((sure >= 0.15 * area) & (sure > 0.5 * _LEAST_PIXELS))
    return np.isin(labels, kept[kept > 0])


def _opened(mask: BoolArray, radius: float) -> BoolArray:
    return widened(widened(mask, -radius), radius) & mask


def _undone(frame: RgbdFrame, empty: RgbdFrame) -> RgbdFrame | None:
    """Return the empty scene as the camera would see it now; None if it moved too far to undo."""
    found = scene_warp(empty.color, frame.color)
    if found is None or found.shift_px > _FARTHEST_SHARE * max(frame.size_wh):
        return None
    return empty if found.shift_px < _STILL_PX else _warped(empty, frame, found.warp)


def _warped(empty: RgbdFrame, frame: RgbdFrame, warp: FloatArray) -> RgbdFrame:
    """Warp the empty scene; what it does not show is taken from the frame, so that it does not differ."""
    cv2 = import_cv2()
    seen = cv2.warpPerspective(np.ones(empty.color.shape[:2], np.uint8), warp, frame.size_wh).astype(bool)
    color = np.where(seen[..., None], cv2.warpPerspective(empty.color, warp, frame.size_wh), frame.color)
    depth_m = empty.depth_m
    if depth_m is not None:
        depth_m = cv2.warpPerspective(depth_m, warp, frame.size_wh, flags=cv2.INTER_NEAREST, borderValue=float("nan"))
    return replace(empty, color=color, depth_m=depth_m)
