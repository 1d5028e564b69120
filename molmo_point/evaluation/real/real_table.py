"""Figures and tables of an evaluation on a user's own frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.evaluation.intervals import markdown, share, wilson
from molmo_point.evaluation.real.grasp_trials import GraspTrial
from molmo_point.evaluation.real.labeled_frames import SurfaceKind
from molmo_point.evaluation.real.lift_trials import LiftTrial
from molmo_point.evaluation.real.plane_noise import PlaneNoise
from molmo_point.grasp.object_region import RegionStatus

_CHI2_68, _CHI2_95 = 3.5059, 7.8147  # quantiles of chi squared with three degrees of freedom


@dataclass(frozen=True)
class FrameTrials:
    """All measurements of one frame."""

    name: str
    planes: PlaneNoise
    lifts: tuple[LiftTrial, ...]
    grasps: tuple[GraspTrial, ...]


def summary(frames: Sequence[FrameTrials]) -> dict[str, Any]:
    """Return all figures as plain data; shares come with their 95 % interval."""
    lifts = [trial for frame in frames for trial in frame.lifts]
    grasps = [trial for frame in frames for trial in frame.grasps]
    return {
        "frames": len(frames),
        "lift": {
            **{kind.value: lift_figures([trial for trial in lifts if trial.kind is kind]) for kind in SurfaceKind},
            "all": lift_figures(lifts),
        },
        "stated_error": coverage(lifts),
        "grasps": grasp_figures(grasps),
        "lift_ms": _middle([each for trial in lifts for each in trial.lift_ms]),
        "propose_ms": _middle([trial.propose_ms for trial in grasps]),
        "each_frame": {
            frame.name: {
                "lift": lift_figures(frame.lifts),
                "stated_error": coverage(frame.lifts),
                "planes": frame.planes,
                "grasps": grasp_figures(frame.grasps),
                "lift_ms": _middle([each for trial in frame.lifts for each in trial.lift_ms]),
                "propose_ms": _middle([trial.propose_ms for trial in frame.grasps]),
            }
            for frame in frames
        },
        "lift_trials": [
            {name: value for name, value in vars(trial).items() if name not in ("lift_ms", "mahalanobis2")} for trial in lifts
        ],
        "grasp_trials": [vars(trial) | {"plausible": trial.plausible} for trial in grasps],
    }


def lift_figures(trials: Sequence[LiftTrial]) -> dict[str, Any]:
    """Return shares of all draws of points with a labeled depth.

    The draws of one point are alike, so the intervals count every point as one trial.
    """
    known = [trial for trial in trials if trial.known]
    draws = sum(trial.draws for trial in known)

    def part(count: int) -> dict[str, float]:
        if not draws:
            return share([])
        low, high = wilson(count / draws * len(known), len(known))
        return {"share": count / draws, "low": low, "high": high, "trials": len(known)}

    told, silent = sum(trial.told for trial in known), sum(trial.silent for trial in known)
    return {
        "points": len(known),
        "draws": draws,
        "gross": part(told + silent),
        "gross_silent": part(silent),
        "refused": part(sum(trial.refused for trial in known)),
        "ambiguous": part(sum(trial.ambiguous for trial in known)),
    }


def coverage(trials: Sequence[LiftTrial]) -> dict[str, float]:
    """Return the shares of positions, gross ones excluded, whose stated 68 % and 95 % ellipsoids hold the labeled point."""
    squared = np.array([value for trial in trials for value in trial.mahalanobis2])
    if not squared.size:
        return {"within_68": math.nan, "within_95": math.nan, "draws": 0}
    within = [float(np.mean(squared <= limit)) for limit in (_CHI2_68, _CHI2_95)]
    return {"within_68": within[0], "within_95": within[1], "draws": int(squared.size)}


def grasp_figures(trials: Sequence[GraspTrial]) -> dict[str, Any]:
    """Return shares of the objects that were asked."""
    can = [trial for trial in trials if trial.graspable]
    return {
        "objects": len(trials),
        "region_ok": share([trial.region is RegionStatus.OK for trial in trials]),
        "region_right": share([trial.region_right for trial in trials if trial.region_right is not None]),
        "found": share([trial.found for trial in trials]),
        "found_of_graspable": share([trial.found for trial in can]),
        "plausible_of_graspable": share([trial.plausible for trial in can if trial.plausible is not None]),
        "found_of_ungraspable": share([trial.found for trial in trials if trial.graspable is False]),
    }


def _middle(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan


def tables(figures: dict[str, Any]) -> str:
    """Format the summary as Markdown tables."""
    return "\n\n".join((_lift_table(figures), _grasp_table(figures), _frame_table(figures)))


def _lift_table(figures: dict[str, Any]) -> str:
    rows = [
        (kind, value["points"], *(_share(value[name]) for name in ("gross", "gross_silent", "refused", "ambiguous")))
        for kind, value in figures["lift"].items()
        if value["points"]
    ]
    held = figures["stated_error"]
    words = (
        f"Stated 68 % and 95 % ellipsoids hold {_percent(held['within_68'])} and {_percent(held['within_95'])} "
        f"of {held['draws']} positions. A lift takes {figures['lift_ms']:.2f} ms."
    )
    head = ("surface", "points", "gross", "gross with status OK", "refused", "ambiguous")
    return f"{markdown(head, rows)}\n\n{words}"


def _grasp_table(figures: dict[str, Any]) -> str:
    rows = [
        (name.replace("_", " "), _share(value), value["trials"])
        for name, value in figures["grasps"].items()
        if isinstance(value, dict) and value["trials"]
    ]
    words = f"A grasp proposal takes {figures['propose_ms']:.0f} ms."
    return f"{markdown(('objects', 'share', 'trials'), rows)}\n\n{words}"


def _frame_table(figures: dict[str, Any]) -> str:
    head = (
        "frame", "points", "gross, OK", "refused", "in 68 %", "in 95 %", "stated / measured σ (10 to 90 %)", "σ mm", "at m",
        "grasps", "plausible", "lift ms", "grasp ms",
    )  # fmt: skip
    rows = []
    for name, value in figures["each_frame"].items():
        lift, planes, held, grasps = value["lift"], value["planes"], value["stated_error"], value["grasps"]
        judged = grasps["plausible_of_graspable"]
        rows.append(
            (
                name,
                lift["points"],
                _percent(lift["gross_silent"]["share"]),
                _percent(lift["refused"]["share"]),
                _percent(held["within_68"]),
                _percent(held["within_95"]),
                _number(planes.ratio, f"{planes.ratio:.2f} ({planes.low:.2f} to {planes.high:.2f})"),
                _number(planes.residual_m, f"{planes.residual_m * 1e3:.2f}"),
                _number(planes.depth_m, f"{planes.depth_m:.2f}"),
                f"{round(grasps['found']['share'] * grasps['objects']) if grasps['objects'] else 0}/{grasps['objects']}",
                f"{round(judged['share'] * judged['trials'])}/{judged['trials']}" if judged["trials"] else "–",
                _number(value["lift_ms"], f"{value['lift_ms']:.2f}"),
                _number(value["propose_ms"], f"{value['propose_ms']:.0f}"),
            )
        )
    return markdown(head, rows)


def _number(value: float, text: str) -> str:
    return text if math.isfinite(value) else "–"


def _percent(value: float) -> str:
    return _number(value, f"{100 * value:.1f} %")


def _share(value: dict[str, float]) -> str:
    if not value["trials"]:
        return "–"
    return f"{100 * value['share']:.1f} % ({100 * value['low']:.0f} to {100 * value['high']:.0f})"
