"""Calibration of a model's probabilities: its fit on some scenes, its measurement on others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_point.errors import InputError
from molmo_point.evaluation.intervals import markdown, share, wilson
from molmo_point.evaluation.observations import AnswerObservation, Observations
from molmo_point.trust.answer_model import AnswerFeatures, AnswerModel
from molmo_point.trust.confidence_calibration import Calibration, line

VALIDATION_SEED = 940_000
"""First scene to fit on; the evaluation's own scenes begin at `tabletop.FIRST_SEED`."""
BINS = 10
_RESAMPLED, _FLOOR = 1000, 1e-6
LEAST_ANSWERS = 16
"""Fewest answers that a model can be fitted to."""
_ROWS_PER_FEATURE, _LEAST_KNOWN, _PENALTY = 5, 0.2, 1.0
OF_POINTS = ("digit", "around", "label_differs", "points", "at", "entropy", "absent", "margin", "distance", "elsewhere")
OF_ABSENCE = ("absent", "anywhere", "distance", "label_differs", "weakest", "digit")
OF_COUNTS = ("weakest", "points", "digit", "at", "elsewhere", "label_differs", "absent", "distance")
"""Features of each model, the most important first."""
RAW = Calibration(line("digit", 1.0, 0.0), line("absent", 1.0, 0.0))
"""Probabilities as the model states them."""
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


def stated_claims(seen: Observations, calibration: Calibration) -> tuple[Claims, Claims]:
    """Claims that points are right, and claims that nothing fits, as a calibration states them without cautions.

    Present and absent objects count half each in the second.
    """
    pointing = [answer for answer in seen.answers if answer.has_points]
    points = _claims([(calibration.of_point(each.features, ()), each.right, each.scene) for each in pointing])
    absences = [(calibration.of_absence(each.features, ()), each.absent, each.scene) for each in seen.answers]
    return points, _balanced(_claims(absences))


def _claims(rows: list[tuple[float, bool, int]]) -> Claims:
    values = np.array(rows, float).reshape(-1, 3)
    stated, true, scene = values[np.isfinite(values[:, 0])].T
    return Claims(stated, true, np.ones(len(true)), scene)


def _balanced(claims: Claims) -> Claims:
    return replace(claims, weight=_half_each(claims.true))


def _half_each(true: np.ndarray) -> np.ndarray:
    share = true.mean() if len(true) else 0.5
    return np.where(true == 1, 0.5 / max(share, _FLOOR), 0.5 / max(1 - share, _FLOOR))


def fit_calibration(seen: Observations) -> Calibration:
    """Fit the calibration of the answers about validation scenes.

    The factor on the spread is the one with which the 95 % ellipses hold 95 % of the truth; where
    the tails are heavier than a Gaussian's, the 68 % ellipses hold more than 68 % then.

    Raises:
        InputError: There are fewer than `LEAST_ANSWERS` answers, or fewer of them with points.
    """
    scale = float(np.sqrt(np.quantile(seen.distance2, 0.95) / _WITHIN_95)) if seen.distance2 else 1.0
    absent = np.array([answer.absent for answer in seen.answers], float)
    return Calibration(
        _fit_right([answer for answer in seen.answers if answer.has_points], OF_POINTS),
        fit_model([each.features for each in seen.answers], absent, OF_ABSENCE, _half_each(absent)),
        _fit_right(seen.counts, OF_COUNTS) if seen.counts else None,
        scale,
    )


def _fit_right(answers: Sequence[AnswerObservation], names: tuple[str, ...]) -> AnswerModel:
    return fit_model([each.features for each in answers], np.array([each.right for each in answers], float), names)


def fit_model(
    features: Sequence[AnswerFeatures], true: np.ndarray, names: tuple[str, ...], weight: np.ndarray | None = None
) -> AnswerModel:
    """Fit a logistic regression by penalized maximum likelihood.

    A feature needs `_ROWS_PER_FEATURE` answers of the rarer kind. With fewer the last names are left out, except the first.
    One virtual answer of each kind keeps probabilities off 0 and 1, also if all answers are of one kind.

    Args:
        features: Features of each answer.
        true: (n,) 1 if the claim came true, else 0.
        names: Features to use, the most important first; those that are never known are left out.
        weight: (n,) weight of each answer; None weighs all alike.

    Raises:
        InputError: There are fewer than `LEAST_ANSWERS`.
    """
    if len(true) < LEAST_ANSWERS:
        fix = "ask about more pictures, also about objects that are not in them"
        raise InputError(f"a calibration must see at least {LEAST_ANSWERS} answers", f"{len(true)} answers", fix)
    rarer = int(min(true.sum(), (1 - true).sum()))
    values = np.stack([each.values(names) for each in features])
    known = np.isfinite(values)
    kept = np.flatnonzero(known.mean(0) > _LEAST_KNOWN)[: max(1, rarer // _ROWS_PER_FEATURE)]
    values, known = values[:, kept], known[:, kept]
    mean = np.array([column[here].mean() for column, here in zip(values.T, known.T, strict=True)])
    centered = np.where(known, values - mean, 0.0)
    spread = centered.std(0) + _FLOOR
    columns = np.c_[centered / spread, np.ones(len(true))]
    mass = np.ones(len(true)) if weight is None else weight
    positive, negative = float(mass @ true), float(mass @ (1 - true))
    wanted = np.where(true == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        score = columns @ theta
        told = 1 / (1 + np.exp(-np.clip(score, -500, 500)))
        penalty = np.r_[theta[:-1], 0.0]
        value = mass @ (np.logaddexp(0, score) - wanted * score) + _PENALTY * penalty @ penalty
        return float(value), columns.T @ (mass * (told - wanted)) + 2 * _PENALTY * penalty

    from scipy.optimize import minimize

    theta = minimize(loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B").x
    return AnswerModel(tuple(names[k] for k in kept), mean, theta[:-1] / spread, float(theta[-1]))


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
    claims_of = {"raw": stated_claims(seen, RAW), "calibrated": stated_claims(seen, calibration)}
    for title, pair in claims_of.items():
        for name, claims in zip(("confidence", "absent_probability"), pair, strict=True):
            for label, measure in (("ece", expected_calibration_error), ("brier", brier_score)):
                figures.setdefault(name, {})[f"{label}_{title}"] = bootstrapped(measure, claims)
    counts = _claims([(calibration.of_count(each.features, ()), each.right, each.scene) for each in seen.counts])
    if len(counts.true):
        measures = {"ece_calibrated": expected_calibration_error, "brier_calibrated": brier_score}
        figures["count"] = {label: bootstrapped(measure, counts) for label, measure in measures.items()}
    for title, scale in (("raw", 1.0), ("calibrated", calibration.spread_scale)):
        # A model that does not tell its spread has nothing to cover.
        for name, figure in coverage(seen.distance2, scale).items() if seen.distance2 else ():
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
