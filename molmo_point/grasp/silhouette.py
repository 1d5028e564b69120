"""Grasps without depth: the outline of an object in a view from above, and the fingers around it.

The object is separated from its surroundings by color (GrabCut). Its outline is projected to the level of the object.
"""

import math
from dataclasses import dataclass

import numpy as np

from molmo_point.arrays import BoolArray, ColorArray, FloatArray
from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GRASP_FRAME, GraspCandidate, Grasps, RejectedGrasp, Rejection
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.object_region import ObjectRegion, RegionStatus
from molmo_point.grasp.shape import SurfaceNormal

REACH_M = 0.10
"""Half side of the square of the image in which the object is separated."""
_SURE_M, _LIKELY_M = 0.008, 0.03
_ROUNDS, _LEAST_PIXELS, _LARGEST_SHARE = 4, 60, 0.5
_TURNS = 6
_TABLE_COLORS, _LEAST_TABLE_SHARE, _TABLE_LAB, _FREE = 3, 0.15, 28.0, 0.9
_LEAST_CONTRAST_LAB = 8.0
QUALITY = 0.5
"""Quality of every grasp: a guess, not a measured probability, because without depth there is nothing to rank them by."""


@dataclass(frozen=True, eq=False)
class Silhouette:
    """An object in one image.

    Attributes:
        mask: Its pixels (h, w); all False if it cannot be separated.
        free_colors: Colors (n, 3) of its surroundings, in CIE Lab as OpenCV scales it to 8 bits.
        lab: The image in the same colors (h, w, 3).
    """

    mask: BoolArray
    free_colors: FloatArray
    lab: FloatArray


def find_silhouette(color: ColorArray, uv: FloatArray, pixels_per_m: float) -> Silhouette:
    """Separate the object at a pixel from its surroundings by color.

    Args:
        color: RGB image (h, w, 3), uint8.
        uv: Pixel (2,) on the object.
        pixels_per_m: Scale of the image at the object.

    Raises:
        DependencyError: OpenCV is not installed.
    """
    cv2 = require("cv2", "Separating an object by color", "tracking")
    height, width = color.shape[:2]
    reach = max(round(REACH_M * pixels_per_m), 8)
    left, top = (int(np.clip(round(float(value)) - reach, 0, side - 2)) for value, side in zip(uv, (width, height)))
    right, bottom = min(left + 2 * reach, width), min(top + 2 * reach, height)
    part = np.ascontiguousarray(color[top:bottom, left:right, ::-1])
    rows, columns = np.mgrid[top:bottom, left:right]
    away_m = np.hypot(columns - uv[0], rows - uv[1]) / pixels_per_m
    labels = np.full(away_m.shape, cv2.GC_PR_BGD, np.uint8)
    labels[away_m < _LIKELY_M] = cv2.GC_PR_FGD
    labels[away_m < _SURE_M] = cv2.GC_FGD
    labels[away_m > 0.95 * REACH_M] = cv2.GC_BGD
    lab = cv2.cvtColor(color, cv2.COLOR_RGB2LAB).astype(np.float64)
    mask = np.zeros((height, width), bool)
    sure = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if sure.all() or not sure.any():
        return Silhouette(mask, np.zeros((0, 3)), lab)
    cv2.setRNGSeed(0)
    cv2.grabCut(part, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, pieces = cv2.connectedComponents(inside)
    row = int(np.clip(round(float(uv[1])) - top, 0, inside.shape[0] - 1))
    column = int(np.clip(round(float(uv[0])) - left, 0, inside.shape[1] - 1))
    seed = pieces[row, column]
    own = pieces == seed if seed else np.zeros_like(inside, bool)
    local = lab[top:bottom, left:right]
    table = _common_colors(cv2, local[inside == 0])
    if _LEAST_PIXELS <= np.count_nonzero(own) <= _LARGEST_SHARE * own.size:
        typical = np.median(local[own], axis=0)
        if np.linalg.norm(table - typical, axis=1).min(initial=math.inf) > _LEAST_CONTRAST_LAB:
            mask[top:bottom, left:right] = own
    return Silhouette(mask, table, lab)


def _common_colors(cv2: object, lab: FloatArray) -> FloatArray:
    """Return the colors that make up most of the surroundings: those of the table, not of a neighbor."""
    if len(lab) < _LEAST_PIXELS:
        return np.zeros((0, 3))
    sample = np.ascontiguousarray(lab[:: max(1, len(lab) // 4000)], np.float32)
    stop = (3, 20, 0.5)
    _, labels, centers = cv2.kmeans(sample, _TABLE_COLORS, None, stop, 2, 2)  # type: ignore[attr-defined]
    shares = np.bincount(labels.ravel(), minlength=_TABLE_COLORS) / len(sample)
    return centers[shares >= _LEAST_TABLE_SHARE].astype(np.float64)


def grasps_from_above(
    frame: RgbdFrame,
    uv: FloatArray,
    middle_m: FloatArray,
    base_T_camera: Transform,
    table_z_m: float,
    gripper: Gripper,
    approach_distance_m: float,
) -> Grasps:
    """Find grasps straight down around the outline of an object.

    Args:
        frame: View from above, with intrinsics.
        uv: Pixel (2,) on the object.
        middle_m: Middle of the object (3,) in the base frame, z up, in meters.
        base_T_camera: Pose of the camera.
        table_z_m: Height of the table in the base frame, in meters.
        gripper: Sizes of the gripper.
        approach_distance_m: Length of the straight approach, in meters.

    Returns:
        Grasps in the optical frame, the narrowest first, all of the quality `QUALITY`. The region's points are the outline at
        the table and at the top.

    Raises:
        InputError: The frame has no intrinsics.
        DependencyError: OpenCV is not installed.
    """
    if frame.intrinsics is None:
        raise InputError("frame must have intrinsics", "a frame without intrinsics", "give intrinsics to the frame")
    camera_T_base = base_T_camera.inverse()
    depth_m = float(camera_T_base.apply(middle_m, base_T_camera.target)[2])
    seen = find_silhouette(frame.color, uv, frame.intrinsics.focal_px / depth_m)
    half_m = max(float(middle_m[2]) - table_z_m, 0.004)
    outline = _at_height(frame, seen.mask, base_T_camera, table_z_m + 1.5 * half_m)
    region = _region(seen.mask, outline, table_z_m + 2.0 * half_m, table_z_m, camera_T_base, middle_m)
    good: list[GraspCandidate] = []
    rejected: list[RejectedGrasp] = []
    for axes, position, width_m in _closings(outline, middle_m, half_m, table_z_m, gripper):
        opening_m = min(width_m + 2.0 * gripper.clearance_m, gripper.max_opening_m)
        pose = Transform(base_T_camera.target, GRASP_FRAME, axes, position)
        reason = _reason(width_m, opening_m, pose, seen, frame, camera_T_base, gripper)
        if reason is not None:
            rejected.append(RejectedGrasp(axes, position, reason))
            continue
        in_view = camera_T_base @ pose
        good.append(GraspCandidate(in_view, width_m, opening_m, QUALITY, {}, approach_distance_m))
    good.sort(key=lambda each: each.width_m)
    normal = SurfaceNormal(np.full(3, np.nan), math.nan, 0)
    return Grasps(tuple(good), tuple(rejected), region, normal, None, gripper)


def _region(
    mask: BoolArray, outline: FloatArray, top_m: float, table_z_m: float, camera_T_base: Transform, middle_m: FloatArray
) -> ObjectRegion:
    """Return the region of an outline (n, 2), with its points at the table and at the top."""
    points = [[*xy, z] for xy in outline for z in (table_z_m, top_m)]
    in_camera = camera_T_base.apply(np.array(points), camera_T_base.source) if points else np.zeros((0, 3))
    target_m = camera_T_base.apply(middle_m, camera_T_base.source)
    if points:
        return ObjectRegion(RegionStatus.OK, (), "", mask, in_camera, target_m, None)
    said = "the object cannot be separated by color"
    return ObjectRegion(RegionStatus.MISSING, (RegionStatus.MISSING,), said, mask, in_camera, target_m, None)


def _at_height(frame: RgbdFrame, mask: BoolArray, base_T_camera: Transform, z_m: float) -> FloatArray:
    """Project pixels to a level plane; positions (n, 2) in the base frame."""
    assert frame.intrinsics is not None
    rows, columns = np.nonzero(mask)
    step = max(1, len(rows) // 3000)
    rays = frame.intrinsics.deproject(np.stack([columns, rows], axis=1)[::step].astype(np.float64), 1.0)
    rays = rays @ base_T_camera.rotation.T
    down = rays[:, 2] < -1e-6
    reach = (z_m - base_T_camera.translation_m[2]) / np.where(down, rays[:, 2], np.nan)
    found = base_T_camera.translation_m[:2] + rays[:, :2] * reach[:, None]
    return found[np.all(np.isfinite(found), axis=1)]


def _closings(
    outline: FloatArray, middle_m: FloatArray, half_m: float, table_z_m: float, gripper: Gripper
) -> list[tuple[FloatArray, FloatArray, float]]:
    """Return rotation, position and width of closings from above, from the narrowest direction on."""
    if not len(outline):
        return []
    angles = np.arange(0.0, math.pi, math.radians(3.0))
    spans = np.array([np.quantile(outline @ [math.cos(a), math.sin(a)], [0.01, 0.99]) for a in angles])
    narrow = float(angles[np.argmin(spans[:, 1] - spans[:, 0])])
    # The fingers end below the middle, above the table, and the palm stays above the object.
    end_m = max(middle_m[2] - 0.012, table_z_m + gripper.support_clearance_m)
    end_m = max(end_m, table_z_m + 2.0 * half_m + gripper.palm_clearance_m - gripper.finger_depth_m)
    found = []
    for turn in np.arange(_TURNS) * (math.pi / _TURNS):
        closing = np.array([math.cos(narrow + turn), math.sin(narrow + turn), 0.0])
        across = np.array([-closing[1], closing[0], 0.0])
        low, high = np.quantile(outline @ closing[:2], [0.01, 0.99])
        left, right = np.quantile(outline @ across[:2], [0.01, 0.99])
        xy = 0.5 * (low + high) * closing + 0.5 * (left + right) * across
        axes = np.stack([across, closing, [0.0, 0.0, -1.0]], axis=1)
        position = np.array([xy[0], xy[1], end_m + gripper.tip_offset_m])
        found.append((axes, position, float(high - low)))
    return found


def _reason(
    width_m: float,
    opening_m: float,
    pose: Transform,
    seen: Silhouette,
    frame: RgbdFrame,
    camera_T_base: Transform,
    gripper: Gripper,
) -> Rejection | None:
    """Return the reason against a grasp: too wide, or a finger would end on what does not look like the table."""
    assert frame.intrinsics is not None
    if width_m > gripper.max_opening_m - 2.0 * gripper.clearance_m:
        return Rejection.TOO_WIDE
    along = np.linspace(-0.5, 0.5, 5) * gripper.finger_width_m
    thick = 0.5 * opening_m + np.linspace(0.1, 1.0, 4) * gripper.finger_thickness_m
    for side in (-1.0, 1.0):
        local = np.array([[x, side * y, gripper.tip_offset_m] for x in along for y in thick])
        uv = frame.intrinsics.project_inside(camera_T_base.apply(pose.apply(local, GRASP_FRAME), pose.target))
        if not np.all(np.isfinite(uv)):
            return Rejection.UNSEEN
        columns, rows = np.round(uv).astype(int).T
        away = np.linalg.norm(seen.lab[rows, columns][:, None] - seen.free_colors[None], axis=2)
        free = ~seen.mask[rows, columns] & (away.min(axis=1, initial=math.inf) < _TABLE_LAB)
        if np.mean(free) < _FREE:
            return Rejection.FINGER_HITS_NEIGHBOR
    return None
