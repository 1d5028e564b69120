"""Option `--grasp` of `molmo-point point`: grasps of a parallel gripper for every target."""

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np

from molmo_point.cli import table
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import Grasps
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.propose import propose_grasps
from molmo_point.results import Pointing, Target
from molmo_point.viz.text import shortened

_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--grasp` and `--opening` to a parser."""
    group = parser.add_argument_group("grasps")
    group.add_argument("--grasp", action="store_true", help="also find grasps of a parallel gripper for every target")
    group.add_argument("--opening", type=float, metavar="M", help="largest opening of the gripper in meters (default 0.08)")


def checked_gripper(options: argparse.Namespace) -> Gripper | None:
    """Return the requested gripper, or None without `--grasp`."""
    usual = Gripper()
    if options.opening is None:
        return usual if options.grasp else None
    if not options.grasp:
        raise InputError("--opening must come with --grasp", given=f"--opening {options.opening}", fix="add --grasp")
    # A hand is no narrower than its open fingers.
    span_m = max(usual.palm_span_m, options.opening + 2 * usual.finger_thickness_m)
    return dataclasses.replace(usual, max_opening_m=options.opening, palm_span_m=span_m)


def find(frame: RgbdFrame, pointing: Pointing, gripper: Gripper, base_T_camera: Transform | None) -> list[Grasps]:
    """Find the grasps of each target, in the optical frame; the answer's other points are on other objects."""
    pixels = [(found.point.u, found.point.v) for found in pointing.found]
    return [
        propose_grasps(
            frame,
            found.target,
            gripper=gripper,
            base_T_camera=base_T_camera,
            others=pixels[:number] + pixels[number + 1 :],
        )
        for number, found in enumerate(pointing.found)
        if found.target is not None
    ]


def draw(frame: RgbdFrame, picture: np.ndarray, targets: Sequence[Target], found: Sequence[Grasps]) -> np.ndarray:
    """Draw the best grasp of each target on an image (h, w, 3); the banner is that of the first target."""
    from molmo_point.viz.grasp import draw_grasps

    for target, grasps in reversed(list(zip(targets, found, strict=True))):
        picture = draw_grasps(dataclasses.replace(frame, color=picture), grasps, label=target.label)
    return picture


def lines(targets: Sequence[Target], found: Sequence[Grasps]) -> list[str]:
    """Describe the best grasps of each target, or the reason why there is none."""
    if not targets:
        return ["", "grasps  none: no target has a position"]
    rows, notes = [], []
    for number, (target, grasps) in enumerate(zip(targets, found, strict=True), start=1):
        for grasp in grasps.candidates[:_SHOWN]:
            sizes = [f"{grasp.width_m * 1e3:.0f}", f"{grasp.opening_m * 1e3:.0f}", f"{grasp.quality:.2f}"]
            center = [f"{value:+.4f}" for value in grasp.center_m]
            axes = [" ".join(f"{value:+.2f}" for value in axis) for axis in (grasp.approach, grasp.closing)]
            rows.append([str(number), target.label, *center, *sizes, *axes])
        name = shortened(target.label, 40) or "target"
        if grasps.region.message:
            notes.append(f"note    {name}: {shortened(grasps.region.message, 160)}")
        if grasps.best is None:
            counts = ", ".join(f"{reason} {count}" for reason, count in grasps.reasons.items())
            notes.append(f"note    {name}: no grasp{f' ({counts})' if counts else ''}")
    if not rows:
        return ["", *notes]
    head = ["target", "label", "x m", "y m", "z m", "width mm", "open mm", "quality", "approach", "closing"]
    frame = next(grasps.best.camera_T_grasp.target for grasps in found if grasps.best is not None)
    return ["", *table.columns(head, rows), "", f"grasps in {frame}", *notes]
