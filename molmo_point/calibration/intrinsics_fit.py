"""Intrinsics from photos of a board: selection of photos and points, choice of the model, uncertainty, warnings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray, IntArray
from molmo_point.calibration.board_photos import Detections, detect_each
from molmo_point.calibration.boards import Board
from molmo_point.calibration.camera_fit import (
    MIN_IMAGES,
    MODELS,
    CameraFit,
    fit_camera,
    fit_or_simpler,
    largest_difference_px,
)
from molmo_point.calibration.detection import MIN_POINTS, Detection
from molmo_point.calibration.model_choice import ModelChoice, choose_model, corner_sigma_px, folds, wide_lens
from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.plain_json import plain_json

Photo = tuple[str, NDArray[np.uint8]]
Kept = list[tuple[str, Detection]]
Reasons = list[tuple[str, str]]

COVERAGE_GRID = (8, 6)
_BLUR_FACTOR, _BLUR_PX = 2.0, 4.0
_MISFIT_FACTOR, _MISFIT_PX = 3.0, 0.3
_STRAY_SIGMAS = 6.0
_SAME_PX = 0.001
_FLAT_TILT_DEG = 15.0
_ABSURD_PX, _USUAL_SIDE_PX, _UNKNOWN_SHARE = 2.0, 640.0, 0.1


@dataclass(frozen=True, eq=False)
class IntrinsicsResult:
    """Calibrated intrinsics with their evidence.

    Attributes:
        board: Board in the photos.
        fit: Fit to the used photos.
        used: Names of the used photos, in the order of the fit.
        detections: Detected board in each used photo.
        dropped: Name and reason of each photo, or of points of a photo, not used.
        held_out_px: Error of each distortion model on held-out photos, in pixels; empty if the model was given.
        spread_px: Largest difference in the image from other models that are as good, in pixels; 0 if the model was given.
        coverage: Number of board points per image cell (6, 8).
        tilts_deg: Angle between the view and the board's normal in each used photo, in degrees.
        factory: Root mean square and largest difference from the factory's intrinsics, in pixels; None without them.
        warnings: Suggestions for better photos.
    """

    board: Board
    fit: CameraFit
    used: tuple[str, ...]
    detections: tuple[Detection, ...]
    dropped: tuple[tuple[str, str], ...]
    held_out_px: dict[str, float]
    spread_px: float
    coverage: IntArray
    tilts_deg: FloatArray
    factory: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def corners_seen(self) -> int:
        """Number of corner cells of the image, of 4, that hold a board point."""
        return int((self.coverage[[0, 0, -1, -1], [0, -1, 0, -1]] > 0).sum())

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain JSON."""
        camera = self.fit.intrinsics
        values = {
            "intrinsics": camera.to_dict(),
            "sigma": self.fit.sigmas(),
            "model": self.fit.model,
            "rms_px": self.fit.rms_px(),
            "held_out_px": self.held_out_px,
            "images": [
                {"name": name, "rms_px": rms, "points": found.count, "edge_width_px": found.sharpness_px, "tilt_deg": tilt}
                for name, rms, found, tilt in zip(self.used, self.fit.per_image_px(), self.detections, self.tilts_deg)
            ],
            "dropped": [{"name": name, "reason": reason} for name, reason in self.dropped],
            "coverage": self.coverage,
            "covered_share": float((self.coverage > 0).mean()),
            "corners_seen": self.corners_seen,
            "corner_sigma_px": corner_sigma_px(self.fit),
            "model_spread_px": self.spread_px,
            "factory_difference_px": None if self.factory is None else {"rms": self.factory[0], "largest": self.factory[1]},
            "board": self.board.to_dict(),
            "warnings": self.warnings,
        }
        return plain_json(values)


def calibrate_intrinsics(
    board: Board,
    photos: Sequence[Photo],
    *,
    model: str | None = None,
    factory: Intrinsics | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> IntrinsicsResult:
    """Calibrate a camera from photos of a board.

    Args:
        board: Board in the photos.
        photos: Names and RGB images, all of one size.
        model: Distortion model, a key of `MODELS`; None chooses by the error on held-out photos.
        factory: Intrinsics to compare with.
        progress: Called with a line per photo and step.

    Raises:
        InputError: For photos of several sizes, or fewer than 5 usable photos; the message gives the reasons.
        DependencyError: Without OpenCV.
    """
    if model is not None and model not in MODELS:
        raise InputError("model must be a known distortion model", repr(model), f"use one of {', '.join(map(repr, MODELS))}")
    size_wh, points = _one_size(photos), _enough_points(board)
    if factory is not None and factory.size_wh != size_wh:
        given = f"{factory.size_wh}, photos {size_wh} (width, height)"
        raise InputError("factory must be intrinsics of the photos' size", given, "give the intrinsics of this stream")
    found = detect_each(board, photos, len(photos), progress)
    kept, dropped = _sharp(found, len(photos))
    kept, dropped = _consistent(points, kept, dropped, size_wh, model, len(photos))
    uv = np.array([found.uv for _, found in kept])
    progress("comparing distortion models on held-out photos")
    choice = ModelChoice(fit_camera(points, uv, size_wh, model), {}, 0.0) if model else choose_model(points, uv, size_wh)
    fit = _checked(choice.fit)
    tilts = np.rad2deg(np.arccos(np.clip(np.abs(fit.poses[:, 2, 2]), 0.0, 1.0)))
    coverage = coverage_map(uv, size_wh)
    names, detections = zip(*kept)
    return IntrinsicsResult(
        board,
        fit,
        names,
        detections,
        tuple(dropped),
        choice.held_out_px,
        choice.spread_px,
        coverage,
        tilts,
        None if factory is None else largest_difference_px(fit.intrinsics, factory),
        (*found.notes, *_warnings(choice, coverage, tilts, len(kept))),
    )


def _enough_points(board: Board) -> FloatArray:
    points = board.points
    if len(points) < MIN_POINTS:
        fix = "use a chessboard, a ChArUco board or a grid of tags; one tag serves for hand-eye"
        raise InputError(f"The board must have at least {MIN_POINTS} points", f"{board.describe()}: {len(points)}", fix)
    return points


def _consistent(
    points: FloatArray, kept: Kept, dropped: Reasons, size_wh: tuple[int, int], model: str | None, count: int
) -> tuple[Kept, Reasons]:
    """Drop photos and points that contradict the others."""
    usual = model or _usual_model(points, kept, size_wh)
    kept, dropped = _fitting(points, kept, dropped, size_wh, usual)
    _enough(kept, dropped, count)
    kept, strays = _without_strays(points, kept, size_wh, "k1 k2 p1 p2" if usual == "k1 k2" else usual)
    return kept, dropped + strays


def _usual_model(points: FloatArray, kept: Kept, size_wh: tuple[int, int]) -> str:
    """Return the model by which photos are selected, before the lens model is chosen."""
    return "fisheye k1 k2" if wide_lens(points, np.array([found.uv for _, found in kept]), size_wh) else "k1 k2"


def _checked(fit: CameraFit) -> CameraFit:
    """Return a camera that its own photos do not contradict.

    Raises:
        InputError: For an absurd error, views that do not determine the focal length, or a lens that folds.
    """
    limit = _ABSURD_PX * max(max(fit.intrinsics.size_wh) / _USUAL_SIDE_PX, 1.0)
    if fit.rms_px() > limit:
        given = f"reprojection error {fit.rms_px():.1f} px over {len(fit.residual)} photos"
        fix = "check the board's columns, rows, spacing and order of ids, and that it is flat and at rest; or leave --model open"
        raise InputError(f"The board must fit the photos within {limit:.1f} px", given, fix)
    camera, sigmas = fit.intrinsics, fit.sigmas()
    if max(sigmas["fx"] / camera.fx, sigmas["fy"] / camera.fy) > _UNKNOWN_SHARE:
        given = f"fx {camera.fx:.0f} ± {sigmas['fx']:.0f} px, fy {camera.fy:.0f} ± {sigmas['fy']:.0f} px"
        raise InputError("The photos must determine the focal length", given, "tilt the board by 30° in all directions")
    if folds(camera):
        fix = "choose a simpler --model, or add photos that reach into the corners"
        raise InputError("The lens model must not fold inside the image", f"'{fit.model}' {list(camera.distortion)}", fix)
    return fit


def coverage_map(uv: FloatArray, size_wh: tuple[int, int]) -> IntArray:
    """Count the points in each image cell (6, 8); `uv` is (..., 2), NaN where not detected."""
    points = uv.reshape(-1, 2)
    points = points[np.isfinite(points[:, 0])]
    columns, rows = COVERAGE_GRID
    width, height = size_wh
    counts, _, _ = np.histogram2d(
        points[:, 1], points[:, 0], bins=(rows, columns), range=((-0.5, height - 0.5), (-0.5, width - 0.5))
    )
    return counts.astype(int)


def _one_size(photos: Sequence[Photo]) -> tuple[int, int]:
    sizes: dict[tuple[int, int], list[str]] = {}
    for name, image in photos:
        sizes.setdefault((image.shape[1], image.shape[0]), []).append(name)
    if not sizes:
        raise InputError("photos must hold photos of the board", "none", "name a folder or files")
    if len(sizes) > 1:
        given = "; ".join(f"{w} x {h}: {len(names)} photos, e.g. {names[0]}" for (w, h), names in sizes.items())
        raise InputError("The photos must have one size", given, "take all photos with one resolution")
    return next(iter(sizes))


def _sharp(photos: Detections, given: int) -> tuple[Kept, Reasons]:
    kept, dropped = _distinct(*_not_blurred(photos.kept, photos.dropped))
    _enough(kept, dropped, given, " ".join(photos.notes))
    return kept, dropped


def _not_blurred(kept: Kept, dropped: Reasons) -> tuple[Kept, Reasons]:
    widths = np.array([found.sharpness_px for _, found in kept])
    if not np.isfinite(widths).any():
        return kept, dropped
    usual = float(np.nanmedian(widths))
    blurred = widths > max(_BLUR_FACTOR * usual, _BLUR_PX)
    words = "blurred: edges {:.1f} px wide, usual here {:.1f} px"
    reasons = [(name, words.format(found.sharpness_px, usual)) for (name, found), bad in zip(kept, blurred) if bad]
    return [item for item, bad in zip(kept, blurred) if not bad], dropped + reasons


def _distinct(kept: Kept, dropped: Reasons) -> tuple[Kept, Reasons]:
    """Drop copies of a photo: they would count as independent evidence."""
    found: Kept = []
    copies: Reasons = []
    for name, photo in kept:
        same = (first for first, other in found if np.allclose(other.uv, photo.uv, rtol=0.0, atol=_SAME_PX, equal_nan=True))
        first = next(same, None)
        if first is None:
            found.append((name, photo))
        else:
            copies.append((name, f"the same as {first}"))
    return found, dropped + copies


def _fitting(points: FloatArray, kept: Kept, dropped: Reasons, size_wh: tuple[int, int], model: str) -> tuple[Kept, Reasons]:
    """Drop photos that contradict the others, the worst first."""
    dropped = list(dropped)
    while len(kept) > MIN_IMAGES:
        fit = fit_or_simpler(points, np.array([found.uv for _, found in kept]), size_wh, model)
        errors = fit.per_image_px()
        worst, usual = int(np.argmax(errors)), float(np.median(errors))
        if errors[worst] <= max(_MISFIT_FACTOR * usual, usual + _MISFIT_PX):
            break
        name, _ = kept[worst]
        dropped.append((name, f"does not fit the others: {errors[worst]:.2f} px, usual here {usual:.2f} px"))
        kept = kept[:worst] + kept[worst + 1 :]
    return kept, dropped


def _without_strays(points: FloatArray, kept: Kept, size_wh: tuple[int, int], model: str) -> tuple[Kept, Reasons]:
    """Leave out single points with a large residual, e.g. a corner that slid along an edge, or glare."""
    fit = fit_or_simpler(points, np.array([found.uv for _, found in kept]), size_wh, model)
    gap = np.linalg.norm(fit.residual, axis=2)
    # Distances of correct points have a Rayleigh distribution with a median of 1.18 sigma.
    limit = _STRAY_SIGMAS * float(np.nanmedian(gap)) / 1.18
    calm, reasons = [], []
    for (name, found), distances in zip(kept, gap):
        far = np.flatnonzero(distances > limit)
        if len(far) and found.count - len(far) >= 2 * MIN_POINTS:
            uv = found.uv.copy()
            uv[far] = np.nan
            listed = ", ".join(f"{number} ({distances[number]:.1f} px)" for number in far[:5])
            reasons.append((name, f"{len(far)} of {found.count} points left out: {listed}"))
            found = replace(found, uv=uv)
        calm.append((name, found))
    return calm, reasons


def _enough(kept: Kept, dropped: Reasons, given: int, notes: str = "") -> None:
    if len(kept) >= MIN_IMAGES:
        return
    reasons = "; ".join(f"{name}: {reason}" for name, reason in dropped[:6])
    if not kept:
        fix = "check the kind of board and its numbers of squares, and that it is whole, flat and sharp in the photo"
        raise InputError("The photos must show the board", f"{notes or f'{given} photos'} ({reasons})", fix)
    raise InputError(
        f"Intrinsics need at least {MIN_IMAGES} usable photos",
        f"{len(kept)} of {given} usable{f' ({reasons})' if reasons else ''} {notes}".strip(),
        "take 15 to 30, near and far, tilted in all directions, reaching into the corners",
    )


def _warnings(choice: ModelChoice, coverage: IntArray, tilts: FloatArray, count: int) -> list[str]:
    fit, found = choice.fit, []
    if count < 12:
        found.append(f"Only {count} photos: take 15 to 30 for a reliable distortion.")
    corners = {"upper left": (0, 0), "upper right": (0, -1), "lower left": (-1, 0), "lower right": (-1, -1)}
    empty = [name for name, cell in corners.items() if coverage[cell] == 0]
    if empty:
        doubt = np.nanmax([corner_sigma_px(fit), choice.spread_px])
        words = "the lens model is extrapolated there, and uncertain by"
        found.append(f"No board point in the {', '.join(empty)} corner of the image: {words} {doubt:.1f} px.")
    folding = [model for model, error in choice.held_out_px.items() if not np.isfinite(error)]
    if folding:
        found.append(f"These lens models do not hold in the whole image, or do not fit: {', '.join(map(repr, folding))}.")
    if float(np.percentile(tilts, 80)) < _FLAT_TILT_DEG:
        found.append(
            f"Most views are head-on (80 % below {_FLAT_TILT_DEG:.0f}°): tilt the board by 30°, or fx and fy stay uncertain."
        )
    if fit.rms_px() > 1.0:
        found.append(f"Reprojection error {fit.rms_px():.2f} px: is the board flat, and its YAML right?")
    share = fit.sigmas()["fx"] / fit.intrinsics.fx
    if share > 0.01:
        found.append(f"The focal length has an error of {share:.1%}: distances inherit that error.")
    return found
