"""Best grasp of every graspable object of labeled real frames, judged by widths, outline and clearance.

python -m benchmarks.grasps.real_objects ../shared/real/rgbd

`real_objects.json` holds the true widths of 25 objects, read off by eye from color and depth, and what a person said of
the best grasps before candidates were culled last ("before") and of the drawn grasps since then ("seen"). The criteria
here stand for that person:

- plausible: the middle and both contacts lie in the object's outline, the width is a true one, and the open fingers hold
  no measured surface;
- absurd: the middle is outside the outline, the width is off by half, or the fingers are deep in a surface;
- poor: everything between.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.program import add_output, run_program
from molmo_point.arrays import FloatArray
from molmo_point.depth.lift import lift_point
from molmo_point.evaluation.real.labeled_frames import LabeledFrame, read_labeled_frame, read_labels
from molmo_point.grasp.candidates import GraspCandidate, Grasps
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.propose import propose_grasps
from molmo_point.results import ImagePoint, Target

LABELS = Path(__file__).parents[1] / "sensors" / "real_labels.json"
OBJECTS = Path(__file__).with_name("real_objects.json")

OUTLINE_SHARE, FAR_SHARE = 0.15, 0.30
"""The outline is widened by these shares of its sides, for contacts and for the middle of an absurd grasp."""

MAX_POINTS, DEEP_POINTS = 6, 60
"""Largest number of measured pixels in the fingers, by 2 mm and more, of a plausible and of a poor grasp."""

_SHRUNK_M = 0.002


def judge_grasp(
    labeled: LabeledFrame, box: tuple[float, ...] | None, widths_mm: list[list[float]], grasp: GraspCandidate, gripper: Gripper
) -> tuple[str, str]:
    """Return the verdict, plausible, poor or absurd, and its reason."""
    frame = labeled.frame
    assert frame.intrinsics is not None
    half = 0.5 * grasp.width_m * grasp.closing
    uv = frame.intrinsics.project(np.stack([grasp.center_m, grasp.center_m - half, grasp.center_m + half]))
    width_mm = 1e3 * grasp.width_m
    off = min(max(low / width_mm, width_mm / high) for low, high in widths_mm)
    points = _points_in_fingers(labeled, grasp, gripper)
    if box is not None and not _inside(uv[:1], box, FAR_SHARE):
        return "absurd", "not on the object"
    if off > 1.5:
        return "absurd", f"width {width_mm:.0f} mm"
    if points > DEEP_POINTS:
        return "absurd", f"{points} pixels in the fingers"
    if box is not None and not _inside(uv, box, OUTLINE_SHARE):
        return "poor", "contacts outside the outline"
    if off > 1.0:
        return "poor", f"width {width_mm:.0f} mm"
    return ("plausible", "") if points <= MAX_POINTS else ("poor", f"{points} pixels in the fingers")


def _inside(uv: FloatArray, box: tuple[float, ...], share: float) -> bool:
    low, high = np.array(box[:2]), np.array(box[2:])
    room = share * (high - low)
    return bool(np.all((uv >= low - room) & (uv <= high + room)))


def _points_in_fingers(labeled: LabeledFrame, grasp: GraspCandidate, gripper: Gripper) -> int:
    frame = labeled.frame
    assert frame.intrinsics is not None and frame.depth_m is not None
    rows, columns = np.nonzero(np.isfinite(frame.depth_m))
    points = frame.intrinsics.deproject(np.stack([columns, rows], axis=1).astype(float), frame.depth_m[rows, columns])
    local = (points - grasp.center_m) @ grasp.camera_T_grasp.rotation
    lows, highs = gripper.boxes(grasp.opening_m)
    inside = [
        np.all((local > low + _SHRUNK_M) & (local < high - _SHRUNK_M), axis=1) for low, high in zip(lows, highs, strict=True)
    ]
    return int(np.count_nonzero(inside[0] | inside[1]))


def best_grasps(folder: Path) -> list[dict[str, Any]]:
    """Return one row for each object: its verdict, reason, quality and width."""
    labels, objects = read_labels(LABELS), json.loads(OBJECTS.read_text())
    frames: dict[str, LabeledFrame] = {}
    rows = []
    for key, known in objects.items():
        name, point_name = key.split("/")
        if not (folder / name).is_dir():
            continue
        labeled = frames.setdefault(name, read_labeled_frame(folder / name, labels.get(name)))
        point = next(each for each in labeled.points if each.name == point_name)
        target = lift_point(ImagePoint(point.u, point.v, point.name, sigma_px=3.0), labeled.frame)
        grasps: Grasps | None = propose_grasps(labeled.frame, target) if isinstance(target, Target) else None
        best = None if grasps is None else grasps.best
        row = {"object": key, "verdict": "none", "reason": "", "quality": None, "width_mm": None, "region": "NO_TARGET"}
        if grasps is not None:
            row |= {"region": grasps.region.status.value, "reason": ", ".join([*grasps.reasons][:2])}
        if grasps is not None and best is not None:
            verdict, reason = judge_grasp(labeled, point.box, known["widths_mm"], best, grasps.gripper)
            row |= {"verdict": verdict, "reason": reason, "quality": best.quality, "width_mm": 1e3 * best.width_m}
        rows.append(row)
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    parser.add_argument("folder", type=Path, help="folder of labeled frames")
    add_output(parser)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Judge the best grasp of every object.

    Returns:
        The figures, and a table of them.
    """
    rows = best_grasps(options.folder)
    counts = Counter(row["verdict"] for row in rows)
    lines = ["| object | verdict | width | quality | region | reason |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        width, quality = (f"{row[name]:{form}}" if row[name] else "" for name, form in (("width_mm", ".0f"), ("quality", ".2f")))
        cells = (row["object"], row["verdict"], width, quality, row["region"], row["reason"])
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("\n" + ", ".join(f"{verdict} {count} of {len(rows)}" for verdict, count in counts.most_common()))
    return {"benchmark": "grasps_real", "objects": len(rows), "verdicts": dict(counts), "rows": rows}, "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.grasps.real_objects", __doc__, add_arguments, measure))
