"""Grippers drawn as boxes: on the image, and in pictures of the point cloud."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.gripper import Gripper, corners_of
from molmo_point.viz.text import GRAY, INK, RGB, draw_banner, shortened

Projection = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Points (n, 3) to pixels (n, 2), NaN where they cannot be drawn, and depth (n,)."""

BEST: RGB = (0, 205, 140)
_REGION: RGB = (64, 186, 255)
_SUPERSAMPLE = 3
# corner i of a box has bit k set where it is at the upper end of axis k
_FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
_HAND_M = 0.03


def gripper_corners(grasp: GraspCandidate, gripper: Gripper) -> np.ndarray:
    """Corners (3, 8, 3) of the two open fingers and the front of the hand, in the grasp's frame of reference."""
    lows, highs = gripper.boxes(grasp.opening_m)
    # All of the hand would hide what it grasps.
    lows[2, 2] = max(lows[2, 2], highs[2, 2] - _HAND_M)
    pose = grasp.camera_T_grasp
    return pose.apply(corners_of(lows, highs), frame=pose.source)


def draw_gripper(image: Image.Image, project: Projection, grasp: GraspCandidate, gripper: Gripper, tint: RGB, width: int) -> None:
    """Draws a gripper onto a picture, translucent, its closing line through the object.

    Args:
        image: RGB; it is changed.
        project: Into the picture, from the frame that the grasp is in.
        grasp: Where.
        gripper: What it looks like.
        tint: Color.
        width: Of the lines, in pixels.
    """
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
            pen.ellipse(
                (u - 2 * width, v - 2 * width, u + 2 * width, v + 2 * width), fill=(255, 255, 255, 255), outline=(*INK, 255)
            )
    image.paste(layer, (0, 0), layer)


def draw_grasps(frame: RgbdFrame, grasps: Grasps, *, count: int = 1, label: str = "") -> np.ndarray:
    """Draws the object's region and the best grasps on the image.

    Args:
        frame: That the grasps were found in.
        grasps: From `propose_grasps`.
        count: How many of them to draw, the best one last and colored.
        label: What the object is called.

    Returns:
        A new (h, w, 3) uint8 RGB image.

    Raises:
        InputError: The frame has no intrinsics, or the region is of another image size.
        FrameError: A grasp is in another frame.
    """
    intrinsics = frame.intrinsics
    if intrinsics is None or grasps.region.mask.shape != frame.color.shape[:2]:
        raise InputError(
            "These grasps cannot be drawn on this image",
            f"region {grasps.region.mask.shape}, image {frame.color.shape[:2]}",
            "draw them on the frame that they were found in",
        )
    image = Image.fromarray(_tinted(frame.color, grasps.region.mask))
    large = image.resize((image.width * _SUPERSAMPLE, image.height * _SUPERSAMPLE), Image.Resampling.BICUBIC)

    def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (intrinsics.project(points) + 0.5) * _SUPERSAMPLE - 0.5, points[:, 2]

    chosen = grasps.candidates[:count]
    for grasp in reversed(chosen):
        if grasp.camera_T_grasp.target != frame.frame:
            raise FrameError(
                "A grasp is not in the frame of the image",
                f"grasp in {grasp.camera_T_grasp.target!r}, image in {frame.frame!r}",
                "pass the grasps as propose_grasps returned them",
            )
        draw_gripper(large, project, grasp, grasps.gripper, BEST if grasp is chosen[0] else GRAY, _SUPERSAMPLE)
    image = large.resize(image.size, Image.Resampling.LANCZOS)
    words = " · ".join(part for part in (f"grasp {label}".strip(), grasp_words(grasps)) if part)
    draw_banner(image, shortened(words, 90), round(15 * max(min(image.size) / 480.0, 0.5)))
    return np.array(image)


def grasp_words(grasps: Grasps) -> str:
    """One line: the best grasp, or why there is none."""
    best = grasps.best
    if best is not None:
        return f"width {best.width_m * 1e3:.0f} mm, open {best.opening_m * 1e3:.0f} mm, quality {best.quality:.2f}"
    if grasps.region.points_m.size == 0:
        return f"no object: {grasps.region.message}"
    return "no grasp: " + ", ".join(f"{name} {count}" for name, count in list(grasps.reasons.items())[:3])


def _tinted(color: np.ndarray, mask: np.ndarray) -> np.ndarray:
    picture = color.copy()
    picture[mask] = (0.7 * picture[mask] + 0.3 * np.array(_REGION)).astype(np.uint8)
    return picture
