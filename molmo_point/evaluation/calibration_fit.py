"""Calibration of a model's probabilities: its fit on some scenes, its measurement on others."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.evaluation.intervals import markdown, share, wilson
from molmo_point.evaluation.observations import Observations
from molmo_point.trust.confidence_calibration import Calibration, LogitLine

VALIDATION_SEED = 940_000
"""First scene to fit on; the evaluation's own scenes begin at `tabletop.FIRST_SEED`."""
BINS = 10
_RESAMPLED, _FLOOR = 1000, 1e-6
# A Gaussian ellipse that holds 95 % has this squared radius, one that holds 68 % the other.
_WITHIN_95, _WITHIN_68 = 5.991, 2.279


@dataclass(frozen=True)
class Claims:
    """Probabilities that were stated, and what came true.

    Attributes:
        stated: (n,) probabilities.
        true: (n,) 0 or 1.
        weight: (n,) how much each counts.
        scene: (n,) where it was said; claims about one scene are not independent.
    """

    stated: np.ndarray
    true: np.ndarray
    weight: np.ndarray
    scene: np.ndarray

    def mapped(self, line: LogitLine) -> "Claims":
        """The same claims, calibrated."""
        return replace(self, stated=np.array([line(p) for p in self.stated]))


def confidence_claims(seen: Observations) -> Claims:
    """Claims that a point lies on its object."""
    return _claims(seen.points)


def absence_claims(seen: Observations) -> Claims:
    """Claims that nothing fits; present and absent objects count half each."""
    claims = _claims(seen.questions)
    share = claims.true.mean() if len(claims.true) else 0.5
    weight = np.where(claims.true == 1, 0.5 / max(share, _FLOOR), 0.5 / max(1 - share, _FLOOR))
    return replace(claims, weight=weight)


def _claims(rows: list[tuple[float, bool, int]]) -> Claims:
    stated, true, scene = np.array(rows, float).reshape(-1, 3).T
    return Claims(stated, true, np.ones(len(true)), scene)


def fit_calibration(seen: Observations) -> Calibration:
    """Fit the calibration of the claims of validation scenes.

    The factor on the spread is the one with which the 95 % ellipses hold 95 % of the truth; where
    the tails are heavier than a Gaussian's, the 68 % ellipses hold more than 68 % then.
    """
    scale = float(np.sqrt(np.quantile(seen.distance2, 0.95) / _WITHIN_95)) if seen.distance2 else 1.0
    return Calibration(fit_line(confidence_claims(seen)), fit_line(absence_claims(seen)), scale)


def fit_line(claims: Claims) -> LogitLine:
    """Slope and offset in log-odds by weighted logistic regression; the identity where nothing can be told."""
    if len(claims.true) < 2 or claims.true.min() == claims.true.max():
        return LogitLine()
    held = np.clip(claims.stated, _FLOOR, 1 - _FLOOR)
    columns = np.stack([np.log(held / (1 - held)), np.ones(len(held))], 1)
    # One virtual claim of each kind: perfect separation still has a finite slope.
    positive, negative = (float(claims.weight @ (claims.true == kind)) for kind in (1, 0))
    wanted = np.where(claims.true == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    theta = np.array([1.0, 0.0])
    for _ in range(100):
        told = 1 / (1 + np.exp(-np.clip(columns @ theta, -500, 500)))
        slope = columns.T @ (claims.weight * (wanted - told))
        bend = (columns * (claims.weight * told * (1 - told))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        # Newton's steps are cut short where the curve is flat.
        theta += step * min(1.0, 2.0 / float(np.abs(step).max() + _FLOOR))
        if np.abs(step).max() < 1e-10:
            break
    return LogitLine(float(theta[0]), float(theta[1])) if theta[0] > 0 else LogitLine()


def reliability(claims: Claims) -> list[tuple[float, float, float, float, int]]:
    """For each bin of equal width that is not empty: mean stated, share true, its 95 % bounds, claims."""
    rows, index = [], _bins(claims)
    for mine in (index == k for k in np.unique(index)):
        weight = claims.weight[mine] / claims.weight[mine].sum()
        true, effective = float(weight @ claims.true[mine]), 1 / float((weight**2).sum())
        low, high = wilson(true * effective, effective)
        rows.append((float(weight @ claims.stated[mine]), true, low, high, int(mine.sum())))
    return rows


def _bins(claims: Claims) -> np.ndarray:
    return np.minimum((claims.stated * BINS).astype(int), BINS - 1)


def expected_calibration_error(claims: Claims) -> float:
    """Mean distance between what is stated and what comes true, over bins of equal width; NaN without claims."""
    if not len(claims.true):
        return float("nan")
    gaps = np.bincount(_bins(claims), claims.weight * (claims.stated - claims.true))
    return float(np.abs(gaps).sum() / claims.weight.sum())


def brier_score(claims: Claims) -> float:
    """Mean squared distance between what is stated and what comes true; NaN without claims."""
    if not len(claims.true):
        return float("nan")
    return float(np.average((claims.stated - claims.true) ** 2, weights=claims.weight))


def bootstrapped(measure: Callable[[Claims], float], claims: Claims, seed: int = 0) -> dict[str, float]:
    """A measure with the middle 95 % of what it is over scenes drawn again with replacement."""
    scenes, place = np.unique(claims.scene, return_inverse=True)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(_RESAMPLED if len(scenes) else 0):
        times = np.bincount(rng.integers(0, len(scenes), len(scenes)), minlength=len(scenes))[place]
        kept = times > 0
        values.append(measure(Claims(claims.stated[kept], claims.true[kept], (claims.weight * times)[kept], claims.scene[kept])))
    low, high = np.quantile(values, [0.025, 0.975]) if values else (float("nan"), float("nan"))
    return {"value": measure(claims), "low": float(low), "high": float(high), "trials": len(claims.true)}


def coverage(distance2: list[float], spread_scale: float) -> dict[str, dict[str, float]]:
    """Share of truths inside the 68 % and the 95 % ellipse of the main mode, with 95 % intervals."""
    shares = {}
    for name, limit in (("inside_68", _WITHIN_68), ("inside_95", _WITHIN_95)):
        figure = share([distance / spread_scale**2 <= limit for distance in distance2])
        shares[name] = {"value": figure.pop("share"), **figure}
    return shares


def measure_calibration(seen: Observations, calibration: Calibration) -> dict[str, dict[str, dict[str, float]]]:
    """Figures of test scenes as the model says it (``raw``) and with a calibration.

    Returns:
        ``{claim: {measure: {value, low, high, trials}}}`` with 95 % intervals.
    """
    figures: dict[str, dict[str, dict[str, float]]] = {}
    pairs = (
        ("confidence", confidence_claims(seen), calibration.confidence),
        ("absent_probability", absence_claims(seen), calibration.absent),
    )
    for name, claims, line in pairs:
        figures[name] = {}
        for title, measure in (("ece", expected_calibration_error), ("brier", brier_score)):
            figures[name][f"{title}_raw"] = bootstrapped(measure, claims)
            figures[name][f"{title}_calibrated"] = bootstrapped(measure, claims.mapped(line))
    for title, scale in (("raw", 1.0), ("calibrated", calibration.spread_scale)):
        for name, figure in coverage(seen.distance2, scale).items():
            figures.setdefault("spread", {})[f"{name}_{title}"] = figure
    return figures


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """Format the figures as a Markdown table."""
    rows = [
        (
            *(words.replace("_", " ") for words in (claim, name)),
            f"{f['value']:.3f}",
            f"{f['low']:.3f} to {f['high']:.3f}",
            f["trials"],
        )
        for claim, measures in figures.items()
        for name, f in measures.items()
    ]
    return markdown(("what", "measure", "value", "95 % interval", "trials"), rows)
