"""The `molmo-point eval real` command: lift, stated error and grasps on a user's own frames with points chosen by hand."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.cli.frame_source import with_camera_model
from molmo_point.cli.output import progress
from molmo_point.cli.progress import counted
from molmo_point.depth.lift import lift_point
from molmo_point.errors import InputError
from molmo_point.evaluation.real.grasp_trials import GraspTrial, asked_points, try_grasp
from molmo_point.evaluation.real.labeled_frames import LabeledFrame, labeled_folders, read_labeled_frame, read_labels
from molmo_point.evaluation.real.lift_trials import DRAWS, PIXEL_ERROR_PX, LiftTrial, drawn_points, try_lift
from molmo_point.evaluation.real.plane_noise import plane_noise
from molmo_point.evaluation.real.real_table import FrameTrials, summary, tables
from molmo_point.grasp.candidates import Grasps
from molmo_point.results import ImagePoint, Target, Unreachable


def pictures(options: argparse.Namespace) -> list[Path]:
    """Return the paths of the pictures that the measurement may write."""
    if options.pictures is None or options.folder is None:
        return []
    names = [folder.resolve().name for folder in labeled_folders(options.folder)]
    return [options.pictures / f"{name}-{part}.png" for name in names for part in ("points", "grasps")]


def check(options: argparse.Namespace) -> None:
    """Refuse before the measurement what cannot be done."""
    if options.folder is None:
        given, fix = "eval real", "molmo-point eval real FOLDER; docs/lift.md describes the folder"
        raise InputError("eval real must be given a folder of frames", given, fix)
    if options.pictures is not None and not options.pictures.is_dir():
        raise InputError("--pictures must be a folder", str(options.pictures), f"make the folder {options.pictures} first")
    labeled_folders(options.folder)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Measure every frame; return the figures and their tables."""
    folders = labeled_folders(options.folder)
    labels = {} if options.labels is None else read_labels(options.labels)
    labeled = [read_labeled_frame(folder, labels.get(folder.resolve().name)) for folder in folders]
    for each in labeled:
        if each.ignored:
            progress(f"{each.name}: points.json has fields without a meaning here: {', '.join(each.ignored)}")
    draws = DRAWS if options.draws is None else options.draws
    labeled = [dataclasses.replace(each, frame=with_camera_model(options, each.frame)) for each in labeled]
    trials = [_frame_trials(each, draws, options) for each in counted(labeled, len(labeled), "frame")]
    figures = summary(trials)
    about = {"folder": str(options.folder), "draws": draws, "pixel_error_px": PIXEL_ERROR_PX, "first_seed": options.seed}
    return {**about, **figures}, tables(figures)


def _frame_trials(labeled: LabeledFrame, draws: int, options: argparse.Namespace) -> FrameTrials:
    lifts = tuple(try_lift(labeled, point, draws=draws, seed=options.seed) for point in labeled.points)
    found = [(point, *try_grasp(labeled, point)) for point in asked_points(labeled)]
    if options.pictures is not None:
        _draw(labeled, lifts, [(trial, grasps) for _, trial, grasps in found], draws, options)
    return FrameTrials(labeled.name, plane_noise(labeled.frame), lifts, tuple(trial for _, trial, _ in found))


def _draw(
    labeled: LabeledFrame,
    lifts: tuple[LiftTrial, ...],
    found: list[tuple[GraspTrial, Grasps | None]],
    draws: int,
    options: argparse.Namespace,
) -> None:
    """Write the two contact sheets of a frame."""
    from molmo_point.viz.labeled_sheet import blank_tile, draw_sheet, grasp_tile, point_tile
    from molmo_point.viz.overlay import save_png

    tiles = []
    for point, trial in zip(labeled.points, lifts, strict=True):
        lifted = lift_point(ImagePoint(point.u, point.v, point.name, sigma_px=PIXEL_ERROR_PX), labeled.frame)
        drawn = drawn_points(labeled, point, draws, options.seed)
        uv = np.array([point.u, point.v])
        tiles.append(point_tile(labeled.frame, lifted, uv, drawn, _lift_lines(trial, lifted, point.z_m), trial.silent > 0))
    save_png(options.pictures / f"{labeled.name}-points.png", draw_sheet(tiles, f"{labeled.name}: points"))
    places = {point.name: np.array([point.u, point.v]) for point in labeled.points}
    tiles = []
    for trial, grasps in found:
        lines, bad = _grasp_lines(trial), trial.plausible is False and trial.graspable is not False
        if grasps is None:
            tiles.append(blank_tile(lines, bad))
        else:
            tiles.append(grasp_tile(labeled.frame, grasps, places[trial.point], lines, bad))
    save_png(options.pictures / f"{labeled.name}-grasps.png", draw_sheet(tiles, f"{labeled.name}: grasps"))


def _lift_lines(trial: LiftTrial, lifted: Target | Unreachable, z_m: tuple[float, float] | None) -> tuple[str, ...]:
    label = "no label" if z_m is None else f"label {z_m[0]:.3f} to {z_m[1]:.3f} m"
    if isinstance(lifted, Unreachable):
        answer = lifted.reason.value
    else:
        sigma_mm = float(np.sqrt(lifted.covariance_m2[2, 2])) * 1e3
        answer = f"{lifted.depth_status.value} {lifted.position_m[2]:.3f} ± {sigma_mm:.1f} mm"
        if np.isfinite(lifted.alternate_depth_m):
            answer += f", or {lifted.alternate_depth_m:.3f} m"
    counts = f"of {trial.draws}: {trial.silent} gross OK, {trial.told} gross told, {trial.refused} refused"
    return f"{trial.point} ({trial.kind.value}), {label}", answer, counts


def _grasp_lines(trial: GraspTrial) -> tuple[str, ...]:
    region = "not lifted" if trial.region is None else f"region {trial.region.value}"
    found = f"width {trial.width_m * 1e3:.0f} mm, quality {trial.quality:.2f}" if trial.found else f"no grasp: {trial.reason}"
    judged = {
        "region": trial.region_right, "width": trial.width_right, "on object": trial.on_object, "graspable": trial.graspable
    }  # fmt: skip
    words = ", ".join(f"{name} {'yes' if value else 'no'}" for name, value in judged.items() if value is not None)
    return f"{trial.object}: {region}", found, words
