"""HTML reports of intrinsics, hand-eye calibration and verification: one file without scripts, pictures inside."""

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import ColorArray, FloatArray, IntArray
from molmo_point.calibration.hand_eye import HandEyeResult
from molmo_point.calibration.intrinsics_fit import IntrinsicsResult
from molmo_point.calibration.model_choice import corner_sigma_px
from molmo_point.calibration.static_transform import publisher_words
from molmo_point.files import encode_png
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.lens_models import COEFFICIENTS
from molmo_point.geometry.transforms import Transform

_ENLARGE = 30.0
_PICTURES = 4
_MARK = '<meta name="generator" content="molmo-point">'
"""A later report may overwrite a file that has it; see `molmo_point/cli/overwriting.py`."""
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#1a1a1a;background:#fff}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid #ccc}
table{border-collapse:collapse;margin:.6em 0}td,th{padding:.2em .8em;border-bottom:1px solid #e4e4e4;text-align:right}
td:first-child,th:first-child{text-align:left}.verdict{font-size:1.2em;padding:.5em .9em;border-radius:6px;display:inline-block}
.pass{background:#d8f0dc}.fail{background:#f8d9d6}.warn{background:#fff1cc;padding:.4em .8em;border-radius:4px;margin:.3em 0}
figure{display:inline-block;margin:.4em .8em .4em 0}figcaption{font-size:.85em;color:#555}img{max-width:480px}
pre{background:#f4f4f4;padding:.7em;overflow-x:auto}
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Compose the whole document."""
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{_MARK}<title>{html.escape(title)}</title>'
    return f"{head}<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{''.join(parts)}</body></html>\n"


def heading(words: str) -> str:
    """Format a section title."""
    return f"<h2>{html.escape(words)}</h2>"


def paragraph(words: str, kind: str = "") -> str:
    """Format a paragraph; `kind` is "warn", "verdict pass", "verdict fail" or empty."""
    return f'<p class="{kind}">{html.escape(words)}</p>' if kind else f"<p>{html.escape(words)}</p>"


def code(words: str) -> str:
    """Format preformatted text."""
    return f"<pre>{html.escape(words)}</pre>"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table; cells are escaped."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def bars(names: Sequence[str], values: Sequence[float], unit: str, marked: Sequence[bool], limit: float | None = None) -> str:
    """Draw one bar per name; marked bars are red; a dashed line shows the limit."""
    top = max([*(value for value in values if np.isfinite(value)), limit or 0.0, 1e-9])
    lines = [f'<svg width="760" height="{22 * len(names) + 8}" font-family="sans-serif" font-size="12">']
    for row, (name, value, red) in enumerate(zip(names, values, marked)):
        y = 22 * row + 4
        long = 480.0 * (value / top if np.isfinite(value) else 0.0)
        shown = f"{value:.2f} {unit}" if np.isfinite(value) else "unknown"
        lines.append(f'<text x="150" y="{y + 13}" text-anchor="end">{html.escape(name[-22:])}</text>')
        lines.append(f'<rect x="160" y="{y}" width="{long:.1f}" height="16" fill="{"#c0392b" if red else "#3a7ca5"}"/>')
        lines.append(f'<text x="{166 + long:.1f}" y="{y + 13}">{shown}</text>')
    if limit:
        x = 160 + 480.0 * limit / top
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{22 * len(names) + 4}" stroke="#333" stroke-dasharray="4 3"/>')
    return "".join([*lines, "</svg>"])


def heat_map(counts: IntArray) -> str:
    """Draw counts (rows, columns) as colored cells: white is none, dark is many."""
    rows, columns = counts.shape
    top = max(int(counts.max()), 1)
    lines = [f'<svg width="{48 * columns + 2}" height="{48 * rows + 2}" font-family="sans-serif" font-size="12">']
    for (row, column), count in np.ndenumerate(counts):
        red, green, blue = (round(255 - (count / top) ** 0.5 * d) for d in (197, 131, 90))
        x, y = column * 48 + 1, row * 48 + 1
        lines.append(
            f'<rect x="{x}" y="{y}" width="48" height="48" fill="rgb({red},{green},{blue})" stroke="#999"/>'
            f'<text x="{x + 24.0}" y="{y + 28.0}" text-anchor="middle">{count}</text>'
        )
    return "".join([*lines, "</svg>"])


def _residuals(result: IntrinsicsResult) -> str:
    """Draw the residuals as enlarged lines at the points of the image."""
    uv = np.concatenate([found.uv for found in result.detections])
    residual = result.fit.residual.reshape(-1, 2)
    seen = np.isfinite(uv[:, 0]) & np.isfinite(residual[:, 0])
    width, height = result.fit.intrinsics.size_wh
    scale = 600.0 / width
    lines = [f'<svg width="600" height="{height * scale:.0f}" style="border:1px solid #999">']
    for (u, v), (du, dv) in zip(uv[seen], residual[seen]):
        x, y = u * scale, v * scale
        lines.append(
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x + du * _ENLARGE:.1f}" y2="{y + dv * _ENLARGE:.1f}" stroke="#c0392b"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1" fill="#3a7ca5"/>'
        )
    return "".join([*lines, "</svg>"])


def picture(image: ColorArray, caption: str) -> str:
    """Embed an image (h, w, 3) with a caption."""
    data = base64.b64encode(encode_png(image)).decode("ascii")
    words = html.escape(caption)
    return f'<figure><img alt="{words}" src="data:image/png;base64,{data}"><figcaption>{words}</figcaption></figure>'


def with_points(image: ColorArray, uv: FloatArray) -> NDArray[np.uint8]:
    """Copy an image at a width of about 480 pixels, with a red cross on each seen point."""
    drawn = image.copy()
    height, width = image.shape[:2]
    arm = max(width // 160, 2)
    for u, v in uv[np.isfinite(uv[:, 0])]:
        x, y = round(float(u)), round(float(v))
        if 0 <= x < width and 0 <= y < height:
            drawn[y, max(x - arm, 0) : x + arm + 1] = (230, 30, 30)
            drawn[max(y - arm, 0) : y + arm + 1, x] = (230, 30, 30)
    step = max(width // 480, 1)
    return np.ascontiguousarray(drawn[::step, ::step])


def parameters(camera: Intrinsics) -> dict[str, float]:
    """Return the parameters of a camera by name."""
    lens = zip(COEFFICIENTS[camera.distortion_model], camera.distortion)
    return {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy, **dict(lens)}


def corner_words(result: IntrinsicsResult) -> str:
    """Describe how well the photos determine the lens in the corners of the image."""
    sigma = corner_sigma_px(result.fit)
    known = f"{sigma:.2f} px there" if np.isfinite(sigma) else "unknown there"
    return f"Board points in {result.corners_seen} of 4 corners; the lens is uncertain by {known}."


def intrinsics_report(result: IntrinsicsResult, photos: Mapping[str, NDArray[np.uint8]]) -> str:
    """Compose the report of an intrinsics calibration; `photos` are shown by the names in the result."""
    fit, camera = result.fit, result.fit.intrinsics
    sigma = fit.sigmas()
    values = parameters(camera)
    parts = [
        paragraph(
            f"{result.board.describe()}; {len(result.used)} photos used, {len(result.dropped)} not; "
            f"{camera.width} x {camera.height}."
        ),
        paragraph(f"Reprojection error {fit.rms_px():.3f} px with the model '{fit.model}'. {corner_words(result)}"),
        *(paragraph(words, "warn") for words in result.warnings),
        heading("Parameters"),
        table(("parameter", "value", "± (one sigma)"), [(n, f"{values[n]:.5g}", f"{sigma[n]:.2g}") for n in fit.names]),
    ]
    if result.factory is not None:
        rms, most = result.factory
        parts.append(paragraph(f"Difference from the factory's values: {rms:.2f} px root mean square, {most:.2f} px at most."))
    if result.held_out_px:
        rows = [
            (n, f"{v:.3f}" if np.isfinite(v) else "not fitted", "chosen" if n == fit.model else "")
            for n, v in result.held_out_px.items()
        ]
        parts += [heading("Distortion models on held-out photos"), table(("model", "error px", ""), rows)]
    errors = fit.per_image_px()
    parts += [
        heading("Photos"),
        bars(result.used, errors.tolist(), "px", (errors > 2.0 * np.median(errors)).tolist()),
        heading("Coverage: points per image cell"),
        heat_map(result.coverage),
        heading(f"Residuals, enlarged {_ENLARGE:.0f} times"),
        _residuals(result),
    ]
    if result.dropped:
        parts += [heading("Not used"), table(("photo", "reason"), result.dropped)]
    shown = [(name, found) for name, found in zip(result.used, result.detections) if name in photos][:_PICTURES]
    parts += [heading("Pictures"), *(picture(with_points(photos[n], f.uv), f"{n}: {f.count} points") for n, f in shown)]
    parts += [
        picture(with_points(photos[n], np.empty((0, 2))), f"{n}: {r}") for n, r in result.dropped[:_PICTURES] if n in photos
    ]
    return page("Camera intrinsics", parts)


def hand_eye_report(result: HandEyeResult, dropped: tuple[tuple[str, str], ...] = (), driver: Transform | None = None) -> str:
    """Compose the report of a hand-eye calibration."""
    solution, camera = result.solution, result.camera
    kept = solution.kept
    word = "PASSED" if result.passed else "NOT PASSED"
    parts = [
        paragraph(
            f"{word}: 95 % of the errors at {result.distance_m:g} m from the camera are below {result.error_m * 1e3:.1f} mm "
            f"(tolerance {result.tolerance_m * 1e3:g} mm).",
            "verdict pass" if result.passed else "verdict fail",
        ),
        *(paragraph(reason, "warn") for reason in result.reasons),
        heading(f"{camera.target}_T_{camera.source}"),
        _transform_table(camera),
        heading("Errors on held-out samples"),
        table(
            ("", "rms mm", "median mm", "max mm", "rms °", "rms px"),
            [_row("one left out", result.left_out.summary(kept)), _row("a fifth left out", result.folds.summary(kept))],
        ),
        bars(solution.data.ids, result.left_out.distance_mm.tolist(), "mm", (~kept).tolist(), result.tolerance_m * 1e3),
    ]
    if result.causes:
        parts += [heading("Likely causes"), table(("cause", "fix"), [(c.sentence, c.fix) for c in result.causes])]
    noise = solution.noise
    parts += [
        heading("Samples not used"),
        table(("sample", "reason"), [*result.bad_samples(), *dropped]) if result.bad_samples() or dropped else paragraph("none"),
        heading("Motion, noise, methods"),
        paragraph(result.motion.sentence()),
        paragraph(
            f"Estimated from the samples: corners ± {noise.sigma_px:.2f} px, robot ± {noise.robot_m * 1e3:.2f} mm and "
            f"± {np.rad2deg(noise.robot_rad):.3f}° per axis; reprojection error {solution.fit.rms_px():.2f} px."
        ),
        table(
            ("other method", "difference mm", "difference °"),
            [(n, f"{mm:.2f}", f"{deg:.3f}") for n, (mm, deg) in result.spread.items()],
        ),
    ]
    if result.suggestion is not None:
        s = result.suggestion
        parts += [
            heading("Next pose to record"),
            paragraph(f"{s.words}: reduces the 95 % error from {s.error_now_m * 1e3:.1f} to {s.error_then_m * 1e3:.1f} mm."),
        ]
    parts += [heading("For ROS 2"), code(publisher_words(camera, driver))]
    return page("Hand-eye calibration", parts)


def verification_report(values: Mapping[str, Any], lines: Sequence[str]) -> str:
    """Compose the report of a verification.

    Args:
        values: `passed`, `tolerance_mm`, and `samples` with `id` and `error_mm` each.
        lines: Text of the result; the first line is the verdict.
    """
    errors, limit = [sample["error_mm"] for sample in values["samples"]], values["tolerance_mm"]
    verdict = "verdict pass" if values["passed"] else "verdict fail"
    parts = [paragraph(lines[0], verdict), *(paragraph(line) for line in lines[1:])]
    chart = bars([sample["id"] for sample in values["samples"]], errors, "mm", [error > limit for error in errors], limit)
    return page("Verification", [*parts, heading("Errors"), chart])


def _row(name: str, values: dict[str, float]) -> tuple[str, ...]:
    return (name, *(f"{values[key]:.2f}" for key in ("rms_mm", "median_mm", "max_mm", "rms_deg", "rms_px")))


def _transform_table(transform: Transform) -> str:
    assert transform.covariance is not None
    sigma = np.sqrt(np.diag(transform.covariance))
    rows = [
        (axis, f"{value * 1e3:.2f} mm", f"± {s * 1e3:.2f} mm") for axis, value, s in zip("xyz", transform.translation_m, sigma)
    ]
    rows += [(f"rotation about {axis}", "", f"± {np.rad2deg(s):.3f}°") for axis, s in zip("xyz", sigma[3:])]
    rows.append(("quaternion x y z w", " ".join(f"{value:.6f}" for value in transform.quaternion_xyzw), ""))
    return table(("", "value", "one sigma"), rows)
