"""Figures of the lifting benchmark as plain data and as tables."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.lift.benchmark import OURS, Answer, LiftRun
from molmo_point.evaluation.intervals import share

_CHI2_68, _CHI2_95 = 3.5059, 7.8147  # quantiles of chi squared with three degrees of freedom


def summary(run: LiftRun) -> dict[str, Any]:
    """All figures: of each estimator over everything, and in each kind of scene at each sigma."""
    sigmas = sorted({answer.sigma_px for answer in run.answers})
    kinds = list(dict.fromkeys(answer.kind for answer in run.answers))
    cameras = sorted({answer.camera for answer in run.answers})
    estimators = {}
    for name in run.estimators:
        own = [answer for answer in run.answers if answer.estimator == name]
        estimators[name] = {
            "all": figures(own),
            "measurable": figures(answer for answer in own if answer.measurable),
            "kinds": {kind: {f"sigma {sigma:g} px": figures(_cell(own, kind, sigma)) for sigma in sigmas} for kind in kinds},
            "cameras": {camera: figures(answer for answer in own if answer.camera == camera) for camera in cameras},
        }
    points = sum(answer.estimator == OURS for answer in run.answers)
    return {"scenes": run.scenes, "points": points, "note": run.note, "estimators": estimators}


def _cell(answers: list[Answer], kind: str, sigma_px: float) -> list[Answer]:
    return [answer for answer in answers if answer.kind == kind and answer.sigma_px == sigma_px]


def figures(answers: Iterable[Answer]) -> dict[str, Any]:
    """Figures of some answers; NaN where there is nothing to take them from.

    `coverage` is over all of them; `coverage_measured` over those where the camera had measured the target, wrong
    surfaces included; `coverage_right_surface` over those that are also on the right surface.
    """
    asked = list(answers)
    given = [answer for answer in asked if not answer.refused]
    errors = np.array([answer.error_mm for answer in given])
    return {
        "asked": len(asked),
        "error_mm_median": float(np.median(errors)) if given else float("nan"),
        "error_mm_95": float(np.quantile(errors, 0.95)) if given else float("nan"),
        "gross": share([answer.gross for answer in given]),
        "gross_unannounced": share([answer.gross and not answer.ambiguous for answer in given]),
        "ambiguous": share([answer.ambiguous for answer in given]),
        "refused_wrongly": share([answer.refused for answer in asked if answer.measurable]),
        "refused_rightly": share([answer.refused for answer in asked if not answer.measurable]),
        "coverage": _coverage(given),
        "coverage_measured": _coverage([answer for answer in given if answer.measurable]),
        "coverage_right_surface": _coverage([answer for answer in given if answer.measurable and not answer.gross]),
        "time_us_median": float(np.median([answer.time_us for answer in asked])) if asked else float("nan"),
    }


def _coverage(answers: list[Answer]) -> dict[str, float]:
    """Shares of the truths that the 68 % and 95 % ellipsoids hold."""
    squared = np.array([answer.mahalanobis2 for answer in answers])
    squared = squared[np.isfinite(squared)]
    if not squared.size:
        return {"within_68": float("nan"), "within_95": float("nan"), "trials": 0}
    within = [float(np.mean(squared <= limit)) for limit in (_CHI2_68, _CHI2_95)]
    return {"within_68": within[0], "within_95": within[1], "trials": int(squared.size)}


def tables(figures_of: dict[str, Any]) -> str:
    """The figures as Markdown: the estimators side by side, then ours kind by kind."""
    estimators = figures_of["estimators"]
    lines = [f"{figures_of['scenes']} scenes, {figures_of['points']} points per estimator. {figures_of['note']}".strip(), ""]
    lines += _table("estimator", {name: value["all"] for name, value in estimators.items()})
    for kind in estimators[OURS]["kinds"]:
        for sigma in estimators[OURS]["kinds"][kind]:
            if kind.startswith("rod") and sigma != "sigma 1 px":
                rows = {name: value["kinds"][kind][sigma] for name, value in estimators.items()}
                lines += ["", f"{kind}, {sigma}:", "", *_table("estimator", rows)]
    rows = {f"{kind}, {sigma}": values for kind, cells in estimators[OURS]["kinds"].items() for sigma, values in cells.items()}
    rows |= estimators[OURS]["cameras"]
    lines += ["", f"{OURS}, kind by kind and camera by camera:", "", *_table("scenes", rows)]
    return "\n".join(lines)


def _table(title: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    head = [
        title, "median mm", "95 % mm", "gross", "of these not announced", "ambiguous", "refused wrongly", "refused rightly",
        "in 68 %", "in 95 %", "µs",
    ]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for name, row in rows.items():
        held = row["coverage_measured"]
        cells = [
            f"{row['error_mm_median']:.1f}",
            f"{row['error_mm_95']:.1f}",
            *(
                _percent(row[key]["share"])
                for key in ("gross", "gross_unannounced", "ambiguous", "refused_wrongly", "refused_rightly")
            ),
            _percent(held["within_68"]),
            _percent(held["within_95"]),
            f"{row['time_us_median']:.0f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "–"
