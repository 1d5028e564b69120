"""Drawing of grippers as boxes, on the image and in pictures of the point cloud."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.gripper import Gripper, corners_of
from molmo_point.viz.text import INK, RGB, draw_banner, shortened

Projection = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Function from points (n, 3) to pixels (n, 2), NaN where not drawable, and depth (n,)."""

BEST: RGB = (0, 205, 140)
_REGION: RGB = (64, 186, 255)
_SUPERSAMPLE = 3
# corner i of a box has bit k set where it is at the upper end of axis k
_FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
_HAND_M = 0.03


def gripper_corners(grasp: GraspCandidate, gripper: Gripper) -> np.ndarray:
    """Return the corners (3, 8, 3) of the two open fingers and the front of the hand, in the grasp's target frame."""
    lows, highs = gripper.boxes(grasp.opening_m)
    # The whole hand would hide the object.
    lows[2, 2] = max(lows[2, 2], highs[2, 2] - _HAND_M)
    pose = grasp.camera_T_grasp
    return pose.apply(corners_of(lows, highs), frame=pose.source)


def draw_gripper(image: Image.Image, project: Projection, grasp: GraspCandidate, gripper: Gripper, tint: RGB, width: int) -> None:
    """Draw a translucent gripper and its closing line onto an RGB image, in place, with lines `width` pixels wide."""
    corners = gripper_corners(grasp, gripper)
    uv, depth = project(corners.reshape(-1, 3))
    if not np.isfinite(uv).all():
        return
    uv, depth = uv.reshape(3, 8, 2), depth.reshape(3, 8)
    faces = [(float(depth[box, list(face)].mean()), box, face) for box in range(3) for face in _FACES]
    layer = Image.new("RGBA", image.size, (*tint, 0))
    pen = ImageDraw.Draw(layer)
    for _, box, face in sorted(faces, reverse=True):
        outline = [tuple(uv[box, corner]) for corner in face]
        pen.polygon(outline, fill=(*tint, 96))
        pen.line([*outline, outline[0]], fill=(*INK, 150), width=2 * width, joint="curve")
        pen.line([*outline, outline[0]], fill=(*tint, 255), width=width, joint="curve")
    half = 0.5 * grasp.width_m * grasp.closing
    ends, _ = project(np.stack([grasp.center_m - half, grasp.center_m + half]))
    if np.isfinite(ends).all():
        pen.line([tuple(end) for end in ends], fill=(255, 255, 255, 255), width=width)
        for u, v in ends:
            box = (u - 2 * width, v - 2 * width, u + 2 * width, v + 2 * width)
            pen.ellipse(box, fill=(255, 255, 255, 255), outline=(*INK, 255))
    image.paste(layer, (0, 0), layer)


def draw_grasps(frame: RgbdFrame, grasps: Grasps, *, label: str = "") -> np.ndarray:
    """Draw the object's region and the best grasp on the image.

    Args:
        frame: Frame that the grasps were found in.
        grasps: Result of `propose_grasps`.
        label: Name of the object.

    Returns:
        A new (h, w, 3) uint8 RGB image.

    Raises:
        InputError: If the frame has no intrinsics, or the region is of another image size.
        FrameError: If the grasp is in another frame.
    """
    intrinsics = frame.intrinsics
    if intrinsics is None or grasps.region.mask.shape != frame.color.shape[:2]:
        raise InputError(
            "frame must be the frame that the grasps were found in, with intrinsics",
            f"region {grasps.region.mask.shape}, image {frame.color.shape[:2]}",
            "draw them on the frame that they were found in",
        )
    picture, mask = frame.color.copy(), grasps.region.mask
    picture[mask] = (0.7 * picture[mask] + 0.3 * np.array(_REGION)).astype(np.uint8)
    image = Image.fromarray(picture)
    large = image.resize((image.width * _SUPERSAMPLE, image.height * _SUPERSAMPLE), Image.Resampling.BICUBIC)

    def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (intrinsics.project(points) + 0.5) * _SUPERSAMPLE - 0.5, points[:, 2]

    if grasps.best is not None:
        if grasps.best.camera_T_grasp.target != frame.frame:
            raise FrameError(
                "Every grasp must be in the frame of the image",
                f"grasp in {grasps.best.camera_T_grasp.target!r}, image in {frame.frame!r}",
                "pass the grasps as propose_grasps returned them",
            )
        draw_gripper(large, project, grasps.best, grasps.gripper, BEST, _SUPERSAMPLE)
    image = large.resize(image.size, Image.Resampling.LANCZOS)
    words = " · ".join(part for part in (f"grasp {label}".strip(), grasp_words(grasps)) if part)
    # The top corner tells the query and its cautions.
    draw_banner(image, shortened(words, 90), round(15 * max(min(image.size) / 480.0, 0.5)), bottom=True)
    return np.array(image)


def grasp_words(grasps: Grasps) -> str:
    """Describe the best grasp in one line, or the reason why there is none."""
    best = grasps.best
    if best is not None:
        return f"width {best.width_m * 1e3:.0f} mm, open {best.opening_m * 1e3:.0f} mm, quality {best.quality:.2f}"
    if grasps.region.points_m.size == 0:
        return f"no object: {grasps.region.message}"
    return "no grasp: " + ", ".join(f"{name} {count}" for name, count in list(grasps.reasons.items())[:3])
