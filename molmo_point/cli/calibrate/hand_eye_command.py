"""Command `molmo-point calibrate hand-eye`: a file of samples to a transform with covariance and a verdict."""

import argparse
from pathlib import Path
from typing import Any

from molmo_point.cli.exit_codes import EXIT_NOT_PASSED
from molmo_point.cli.output import add_output, finish, progress, report_files
from molmo_point.cli.overwriting import check_report, signed_yaml

_RESULT = "hand_eye.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Calibrates the pose of the camera. Writes hand_eye.yaml (with covariance, for load_transform), report.html and "
        f"report.json. Exit code {EXIT_NOT_PASSED}: computed, but beyond the tolerance."
    )
    parser.add_argument(
        "samples",
        type=Path,
        help="samples.yaml or its folder; samples of easy_handeye2 or MoveIt; a folder of ViSP or text poses",
    )
    parser.add_argument("--setup", choices=["eye_in_hand", "eye_to_hand"], help="mounting of the camera, instead of the file's")
    parser.add_argument("--distance", type=float, default=0.5, metavar="M", help="working distance from the camera (default 0.5)")
    parser.add_argument("--tolerance-mm", type=float, default=5.0, metavar="MM", help="error that the task accepts (default 5)")
    parser.add_argument("--driver-transform", type=Path, metavar="FILE", help="transform from the optical frame to camera_link")
    add_output(parser, "out/hand_eye", run)


def run(options: argparse.Namespace) -> int:
    """Calibrate and write the results."""
    from molmo_point.calibration.hand_eye import calibrate_hand_eye
    from molmo_point.calibration.reports import hand_eye_report
    from molmo_point.calibration.sample_file import load_session
    from molmo_point.calibration.static_transform import publisher_words
    from molmo_point.geometry.transforms import load_transform

    check_report(options, _RESULT, inputs=[options.samples.parent] if options.samples.is_file() else [])
    session = load_session(options.samples, progress, options.setup)
    data = session.data
    driver = load_transform(options.driver_transform) if options.driver_transform else None
    result = calibrate_hand_eye(
        data,
        alternatives=session.alternatives,
        frames=(session.base_frame, session.gripper_frame, session.camera_frame),
        distance_m=options.distance,
        tolerance_m=options.tolerance_mm / 1e3,
        progress=progress,
    )
    command = publisher_words(result.camera, driver)
    values = {
        **result.to_dict(),
        "not_detected": [{"id": i, "reason": r} for i, r in session.dropped],
        "notes": [*session.notes, *result.notes],
        "ros2": command,
    }
    files = {
        options.out / _RESULT: transform_yaml(result.camera, result.passed),
        **report_files(options.out, values, hand_eye_report(result, session.dropped, driver)),
    }
    finish(options, values, [*_lines(values), *command.split("\n")], files)
    return 0 if result.passed else EXIT_NOT_PASSED


def transform_yaml(transform: Any, passed: bool) -> bytes:
    """Return YAML that `load_transform` reads, with the verdict as a comment."""
    import yaml

    word = "" if passed else "# NOT PASSED: see report.html before use.\n"
    return signed_yaml(word + yaml.safe_dump(transform.to_dict(), sort_keys=False, default_flow_style=None))


def _shown(value: float | None, digits: int = 2) -> str:
    """Format a number of the JSON; null is a number that bad samples leave unknown."""
    return "unknown" if value is None else f"{value:.{digits}f}"


def _refined(values: dict[str, Any] | None) -> list[str]:
    if values is None:
        return []
    moves = ", ".join(f"{name} {values['moves'][name]:+.1f} ± {values['sigmas'][name]:.1f}" for name in ("fx", "fy", "cx", "cy"))
    return [f"intrinsics    the samples would move them by {moves} px ({values['rms_px']:.1f} px over the image)"]


def _lines(values: dict[str, Any]) -> list[str]:
    transform, left, noise = values["transform"], values["leave_one_out"], values["noise"]
    lines = [
        f"{'PASSED' if values['passed'] else 'NOT PASSED'}: 95 % error {values['error_95_mm']:.2f} mm "
        f"at {values['working_distance_m']:g} m (tolerance {values['tolerance_mm']:g} mm)",
        *(f"  because {reason}" for reason in values["reasons"]),
        f"{transform['target']}_T_{transform['source']}",
        "  position mm "
        + "  ".join(f"{v * 1e3:.2f} ± {s:.2f}" for v, s in zip(transform["translation_m"], transform["sigma_mm"])),
        "  turn ± °    " + "  ".join(f"{s:.3f}" for s in transform["sigma_deg"]),
        f"left out      {_shown(left['rms_mm'])} mm rms, {_shown(left['max_mm'])} mm at most, {_shown(left['rms_deg'], 3)}°",
        f"robot noise   {noise['robot_mm']:.2f} mm, {noise['robot_deg']:.3f}° per axis; corners {noise['pixel']:.2f} px",
        *_refined(values["intrinsics_refinement"]),
        "other methods " + ", ".join(f"{n} {_shown(v['mm'], 1)} mm" for n, v in values["method_spread"].items()),
        *(f"bad sample    {item['id']}: {item['reason']}" for item in values["bad_samples"]),
        *(f"not detected  {item['id']}: {item['reason']}" for item in values["not_detected"]),
        *(f"note          {words}" for words in values["notes"]),
        *(f"likely cause  {c['sentence']}. {c['fix'][0].upper()}{c['fix'][1:]}." for c in values["causes"]),
    ]
    if values["next_pose"]:
        n = values["next_pose"]
        lines.append(f"record next   {n['words']} ({n['error_now_mm']:.1f} → {n['error_then_mm']:.1f} mm)")
    return lines
