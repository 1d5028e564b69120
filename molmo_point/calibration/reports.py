"""What the HTML reports say about intrinsics, hand-eye and verification."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from molmo_point.calibration.hand_eye import HandEyeResult
from molmo_point.calibration.html import arrows, bars, code, heading, heat_map, page, paragraph, picture, table, with_points
from molmo_point.calibration.intrinsics import IntrinsicsResult
from molmo_point.calibration.static_transform import publisher_words
from molmo_point.geometry.transforms import Transform

_ENLARGE = 30.0
_PICTURES = 4


def intrinsics_report(result: IntrinsicsResult, photos: Mapping[str, NDArray[np.uint8]]) -> str:
    """HTML of an intrinsics calibration; `photos` are shown where their names occur in the result."""
    fit, camera = result.fit, result.fit.intrinsics
    sigma = fit.sigmas()
    values: dict[str, float] = dict(
        zip(
            ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3"),
            [camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion],
        )
    )
    parts = [
        paragraph(
            f"{result.board.describe()}; {len(result.used)} photos used, {len(result.dropped)} not; "
            f"{camera.width} x {camera.height}."
        ),
        paragraph(f"Reprojection error {fit.rms_px():.3f} px with the model '{fit.model}'."),
        *(paragraph(words, "warn") for words in result.warnings),
        heading("Parameters"),
        table(("parameter", "value", "± (one sigma)"), [(n, f"{values[n]:.5g}", f"{sigma[n]:.2g}") for n in fit.names]),
    ]
    if result.factory is not None:
        rms, most = result.factory
        parts.append(
            paragraph(f"Against the factory's values: {rms:.2f} px root mean square over the image, {most:.2f} px at most.")
        )
    if result.held_out_px:
        rows = [
            (n, f"{v:.3f}" if np.isfinite(v) else "not fitted", "chosen" if n == fit.model else "")
            for n, v in result.held_out_px.items()
        ]
        parts += [heading("Distortion models on photos they have not seen"), table(("model", "error px", ""), rows)]
    errors = fit.per_image_px()
    parts += [
        heading("Photos"),
        bars(result.used, errors.tolist(), "px", (errors > 2.0 * np.median(errors)).tolist()),
        heading("Coverage: points per part of the image"),
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


def _residuals(result: IntrinsicsResult) -> str:
    uv = np.concatenate([found.uv for found in result.detections])
    residual = result.fit.residual.reshape(-1, 2)
    seen = np.isfinite(uv[:, 0]) & np.isfinite(residual[:, 0])
    return arrows(uv[seen], residual[seen], result.fit.intrinsics.size_wh, _ENLARGE)


def hand_eye_report(
    result: HandEyeResult,
    dropped: tuple[tuple[str, str], ...] = (),
    driver: Transform | None = None,
    pictures: tuple[str, ...] = (),
) -> str:
    """HTML of a hand-eye calibration; `pictures` are ready-made figures."""
    solution, camera = result.solution, result.camera
    kept = solution.kept
    word = "PASSED" if result.passed else "NOT PASSED"
    parts = [
        paragraph(
            f"{word}: 95 % of the errors {result.distance_m:g} m from the camera are below {result.error_m * 1e3:.1f} mm "
            f"(tolerance {result.tolerance_m * 1e3:g} mm).",
            "verdict pass" if result.passed else "verdict fail",
        ),
        *(paragraph(reason, "warn") for reason in result.reasons),
        heading(f"{camera.target}_T_{camera.source}"),
        _transform_table(camera),
        heading("Errors on samples that were not used"),
        table(
            ("", "rms mm", "median mm", "max mm", "rms °", "rms px"),
            [_row("one left out", result.left_out.summary(kept)), _row("a fifth left out", result.folds.summary(kept))],
        ),
        bars(solution.data.ids, result.left_out.distance_mm.tolist(), "mm", (~kept).tolist(), result.tolerance_m * 1e3),
    ]
    if result.causes:
        parts += [heading("Likely causes"), table(("what", "what to do"), [(c.sentence, c.fix) for c in result.causes])]
    noise = solution.noise
    parts += [
        heading("Samples not used"),
        table(("sample", "reason"), [*result.bad_samples(), *dropped]) if result.bad_samples() or dropped else paragraph("none"),
        heading("Motion, noise, methods"),
        paragraph(result.motion.sentence()),
        paragraph(
            f"Found in the samples: corners ± {noise.sigma_px:.2f} px, robot ± {noise.robot_m * 1e3:.2f} mm and "
            f"± {np.rad2deg(noise.robot_rad):.3f}° per axis; reprojection error {solution.fit.rms_px():.2f} px."
        ),
        table(
            ("other method", "mm from the answer", "° from it"),
            [(n, f"{mm:.2f}", f"{deg:.3f}") for n, (mm, deg) in result.spread.items()],
        ),
    ]
    if result.suggestion is not None:
        s = result.suggestion
        parts += [
            heading("What to record next"),
            paragraph(f"{s.words}: brings the 95 % error from {s.error_now_m * 1e3:.1f} to {s.error_then_m * 1e3:.1f} mm."),
        ]
    parts += [heading("For ROS 2"), code(publisher_words(camera, driver)), *pictures]
    return page("Hand-eye calibration", parts)


def _row(name: str, values: dict[str, float]) -> tuple[str, ...]:
    return (name, *(f"{values[key]:.2f}" for key in ("rms_mm", "median_mm", "max_mm", "rms_deg", "rms_px")))


def _transform_table(transform: Transform) -> str:
    assert transform.covariance is not None
    sigma = np.sqrt(np.diag(transform.covariance))
    rows = [
        (axis, f"{value * 1e3:.2f} mm", f"± {s * 1e3:.2f} mm") for axis, value, s in zip("xyz", transform.translation_m, sigma)
    ]
    rows += [(f"turn about {axis}", "", f"± {np.rad2deg(s):.3f}°") for axis, s in zip("xyz", sigma[3:])]
    rows.append(("quaternion x y z w", " ".join(f"{value:.6f}" for value in transform.quaternion_xyzw), ""))
    return table(("", "value", "one sigma"), rows)
