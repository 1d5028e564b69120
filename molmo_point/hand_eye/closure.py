"""Fast test of many readings of the same samples: the closed form and its residual, for all readings at once.

The closed form leaves the ratio of the robot's unit to the board's unit open, so a wrong unit does not hide a right rotation.
"""

from dataclasses import dataclass, fields

import numpy as np

from molmo_point.arrays import FloatArray
from molmo_point.geometry.rigid import angle_between, nearest_rotation

_MAX_SAMPLES = 60
_ROUNDS = 3
_FINALISTS = 24
_SHARE = 0.8  # a fifth of the samples may be bad; the median would accept a reading that fits half of them


@dataclass(frozen=True, eq=False)
class Closure:
    """Residual of G_i X B_i = W by the closed form, for k readings.

    Attributes:
        turn_rad: Rotation residual (k,) that 80 % of the samples stay below, in radians.
        shift: Translation residual (k,) that 80 % stay below, over the spread of the translations of G.
        total: Mean (k,) of the residuals of all samples, each at most 1: it tells apart readings that fit 80 % equally well.
        scale: Robot's lengths over the board's lengths (k,); 1 if both have one unit.
    """

    turn_rad: FloatArray
    shift: FloatArray
    total: FloatArray
    scale: FloatArray

    @property
    def error(self) -> FloatArray:
        """Sum (k,) of both residuals: below 0.05 for the right reading, about 1 for a wrong one."""
        return np.where(np.isfinite(self.shift + self.turn_rad) & (self.scale > 0.0), self.turn_rad + self.shift, np.inf)


def closures(outer: FloatArray, boards: FloatArray, free_scale: bool = True) -> Closure:
    """Solve and test k readings.

    Args:
        outer: G_i (k, n, 4, 4).
        boards: camera_T_board (k, n, 4, 4).
        free_scale: False fixes the scale to 1.
    """
    n = outer.shape[1]
    some = np.unique(np.linspace(0, n - 1, min(n, _MAX_SAMPLES)).astype(int))
    outer, boards = outer[:, some], boards[:, some]
    first = _closure(outer, boards, np.ones(outer.shape[:2]), free_scale)
    best = np.argsort(first.error)[:_FINALISTS]
    robust = _robust(outer[best], boards[best], free_scale)
    for each in fields(Closure):
        getattr(first, each.name)[best] = getattr(robust, each.name)
    return first


def _robust(outer: FloatArray, boards: FloatArray, free_scale: bool) -> Closure:
    weights = np.ones(outer.shape[:2])
    for _ in range(_ROUNDS):
        turn, shift, _ = _residuals(outer, boards, weights, free_scale)
        for residual in (turn, shift):
            usual = np.maximum(np.median(residual, axis=1, keepdims=True), 1e-9)
            weights = weights / (1.0 + (residual / (3.0 * usual)) ** 2)
        weights = weights / weights.max(axis=1, keepdims=True)
    return _closure(outer, boards, weights, free_scale)


def _closure(outer: FloatArray, boards: FloatArray, weights: FloatArray, free_scale: bool) -> Closure:
    turn, shift, scale = _residuals(outer, boards, weights, free_scale)
    at = outer[..., :3, 3]
    spread = np.sqrt(((at - at.mean(axis=1, keepdims=True)) ** 2).sum(axis=2).mean(axis=1))
    shift = shift / np.maximum(spread, 1e-9)[:, None]
    usual_turn, usual_shift = (np.quantile(part, _SHARE, axis=1) for part in (turn, shift))
    return Closure(usual_turn, usual_shift, np.minimum(turn + shift, 1.0).mean(axis=1), scale)


def _residuals(
    outer: FloatArray, boards: FloatArray, weights: FloatArray, free_scale: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rotation (k, n) and translation residuals (k, n) with the scale (k,)."""
    k = len(outer)
    turns = outer[..., :3, :3]
    # Shah's sum of Kronecker products; vec() stacks columns, hence the transposes.
    sums = np.einsum("kn,knji,knlm->kiljm", weights, boards[..., :3, :3], turns).reshape(k, 9, 9)
    left, _, right = np.linalg.svd(sums)
    x, w = (np.swapaxes(part.reshape(k, 3, 3), 1, 2) for part in (right[:, 0], left[:, :, 0]))
    sign = np.sign(np.linalg.det(x))[:, None, None]
    x, w = nearest_rotation(sign * x)[:, None], nearest_rotation(sign * w)[:, None]
    angle = angle_between(turns @ x @ boards[..., :3, :3], np.broadcast_to(w, turns.shape))
    known = (turns @ x @ boards[..., :3, 3:])[..., 0]
    target = -outer[..., :3, 3] - (0.0 if free_scale else known)
    columns = np.concatenate([turns, np.broadcast_to(-np.eye(3), turns.shape)], axis=3)
    if free_scale:
        columns = np.concatenate([columns, known[..., None]], axis=3)
    weighted = np.swapaxes(columns, 2, 3) * weights[..., None, None]
    normal = (weighted @ columns).sum(axis=1)
    pull = (weighted @ target[..., None]).sum(axis=1)
    solved = np.linalg.pinv(normal, rcond=1e-12, hermitian=True) @ pull
    gap = (columns @ solved[:, None])[..., 0] - target
    scale = solved[:, 6, 0] if free_scale else np.ones(k)
    return angle, np.linalg.norm(gap, axis=2), scale
