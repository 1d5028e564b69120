"""Fit of the grasps' quality to the truth of simulated tables.

python -m benchmarks.grasps.quality_fit --scenes 40

Scores of all candidates become the probability that a grasp holds, by logistic regression with weights of at least zero.
They are drawn to the weights that order the candidates by hand, because few scenes tell little of rare scores.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.grasps.benchmark import judge
from benchmarks.program import add_output, run_program
from molmo_point.arrays import FloatArray
from molmo_point.cli.progress import counted
from molmo_point.depth.lift import lift_point
from molmo_point.grasp.gripper import Gripper
from molmo_point.grasp.propose import propose_grasps
from molmo_point.grasp.quality import BIAS, LEAST_SCORE, WEIGHTS
from molmo_point.results import ImagePoint, Target
from molmo_point.sim.camera import SimulatedCamera
from molmo_point.sim.depth_faults import DepthFaults
from molmo_point.sim.stereo_faults import D435_FAULTS
from molmo_point.sim.tabletop.clutter import ClutteredScene
from molmo_point.sim.tabletop.scene import TabletopScene
from molmo_point.sim.unkind_faults import UNKIND_FAULTS

PRIOR = {
    "antipodal": 1.0,
    "seen": 2.0,
    "outlined": 1.0,
    "both_seen": 1.0,
    "near": 2.0,
    "centered": 1.0,
    "upright": 0.7,
    "engaged": 0.7,
    "room": 0.5,
    "region": 1.0,
}
"""Weights that order candidates by hand; only their ratios count."""

_RIDGE = 0.05
_BINS = 10


def candidates_of(kind: str, seed: int) -> Iterator[tuple[dict[str, float], bool]]:
    """Yield scores and truth of the candidates on one object of a scene; `kind` is kind, unkind or one of clutter."""
    faults: DepthFaults = D435_FAULTS if kind == "kind" else UNKIND_FAULTS
    plain = kind in ("kind", "unkind")
    scene: Any = TabletopScene.random(seed) if plain else ClutteredScene.random(kind, seed)
    with scene:
        seen = scene.visible_objects(400)
        if not seen:
            return
        rng = np.random.default_rng(seed)
        chosen = seen[int(rng.integers(len(seen)))]
        frame = SimulatedCamera(scene, seed=seed, faults=faults).read()
        u, v = np.clip(chosen.uv + rng.normal(0.0, 3.0, 2), 0, np.array(frame.size_wh) - 1)
        target = lift_point(ImagePoint(float(u), float(v), "", sigma_px=3.0), frame)
        if not isinstance(target, Target):
            return
        objects = [*scene.layout.objects] if plain else [*scene.layout.table.objects, *scene.layout.walls]
        for each in propose_grasps(frame, target).candidates:
            verdict, _ = judge(each.transformed(scene.base_T_camera), objects, chosen.item, Gripper())
            yield dict(each.scores), verdict == "GOOD"


def fitted(logs: FloatArray, good: FloatArray) -> FloatArray:
    """Fit bias and weights (k + 1,) to logarithms of scores (n, k) and truth (n,) of 0 and 1."""

    prior = np.array([*PRIOR.values()])

    def loss(values: FloatArray) -> float:
        # values: scale of the prior, bias, weights
        logit = values[1] + logs @ values[2:]
        return float(np.mean(np.logaddexp(0.0, logit) - good * logit) + _RIDGE * np.mean((values[2:] - values[0] * prior) ** 2))

    limits = [(0.0, None), (None, None)] + [(0.0, None)] * logs.shape[1]
    return np.asarray(minimize(loss, np.concatenate([[0.5, 1.0], 0.5 * prior]), bounds=limits).x[1:])


def calibration_error(quality: FloatArray, good: FloatArray) -> float:
    """Return the mean distance of quality and share of good grasps, over bins of equal numbers."""
    parts = np.array_split(np.argsort(quality), _BINS)
    return float(sum(abs(quality[part].mean() - good[part].mean()) * len(part) for part in parts) / len(quality))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this program."""
    add_output(parser, scenes=40, seed=0)
    parser.add_argument("--kinds", nargs="+", default=["kind", "unkind", "touching", "stacked"], help="kinds of scenes")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Collect candidates, fit, and measure the quality in use and, over objects left out, the fitted one.

    Returns:
        The figures, and a table of them.
    """
    rows, groups = [], []
    for kind in options.kinds:
        for seed in counted(range(options.seed, options.seed + options.scenes), options.scenes, kind):
            found = list(candidates_of(kind, seed))
            rows += found
            groups += [len(set(groups))] * len(found)
    names = list(PRIOR)
    logs = np.log(np.maximum([[scores[name] for name in names] for scores, _ in rows], LEAST_SCORE))
    good = np.array([float(truth) for _, truth in rows])
    values = fitted(logs, good)
    left_out = np.zeros(len(rows))
    fold = np.array(groups) % 5
    for each in range(5):
        part = fitted(logs[fold != each], good[fold != each])
        left_out[fold == each] = 1.0 / (1.0 + np.exp(-part[0] - logs[fold == each] @ part[1:]))
    now = 1.0 / (1.0 + np.exp(-BIAS - logs @ np.array([WEIGHTS[name] for name in names])))
    figures = {
        "benchmark": "quality_fit",
        "candidates": len(rows),
        "good": float(good.mean()),
        "bias": float(values[0]),
        "weights": dict(zip(names, map(float, values[1:]), strict=True)),
        "error_left_out": calibration_error(left_out, good),
        "error_in_use": calibration_error(now, good),
    }
    lines = [f"{len(rows)} candidates, {100 * good.mean():.1f} % good", f"BIAS = {values[0]:.2f}"]
    lines += [f'    "{name}": {value:.2f},' for name, value in figures["weights"].items()]
    lines += [f"calibration error: fitted {figures['error_left_out']:.3f} (left out), in use {figures['error_in_use']:.3f}"]
    for part in np.array_split(np.argsort(left_out), _BINS):
        lines.append(f"quality {left_out[part].mean():.2f}: {good[part].mean():.2f} of {len(part)} good")
    return figures, "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_program("benchmarks.grasps.quality_fit", __doc__, add_arguments, measure))
