"""Command `molmo-point calibrate verify`: error of a calibration in mm, with its interval, on fresh data."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.cli.depth_alignment import CameraAlignment, examine_alignment
from molmo_point.cli.exit_codes import EXIT_NOT_PASSED
from molmo_point.cli.frame_source import add_camera_option, chosen_source
from molmo_point.cli.output import add_output, finish, progress, report_files
from molmo_point.cli.overwriting import check_report
from molmo_point.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Checks a calibration. A touch file holds `touches`, a list of camera_point_m, touched_base_m and, for a camera on "
        f"the arm, base_T_gripper at the time of the image. Exit code {EXIT_NOT_PASSED}: beyond the tolerance."
    )
    parser.add_argument("transform", type=Path, help="hand_eye.yaml")
    group = parser.add_argument_group("fresh data (one of)")
    group.add_argument(
        "--samples", type=Path, metavar="PATH", help="fresh samples, as for hand-eye; the board may stand at another place"
    )
    group.add_argument("--touch", type=Path, metavar="FILE", help="points seen by the camera and touched by the tool tip")
    add_camera_option(parser, "also read frames of the camera, and tell whether its depth fits its color images")
    parser.add_argument("--tolerance-mm", type=float, default=5.0, metavar="MM", help="largest error to accept (default 5)")
    add_output(parser, "out/verify", run, "folder for the report")


def run(options: argparse.Namespace) -> int:
    """Verify and write the report."""
    from molmo_point.calibration.reports import verification_report
    from molmo_point.geometry.transforms import load_transform

    chosen_source(options, "samples", "touch")
    if not options.tolerance_mm > 0:
        raise InputError("--tolerance-mm must be above zero", str(options.tolerance_mm), "e.g. --tolerance-mm 5")
    check_report(options, inputs=[options.samples.parent] if options.samples and options.samples.is_file() else [])
    camera = load_transform(options.transform)
    names, result = _board(options.samples, camera) if options.samples else _touch(options.touch, camera)
    alignment = None if options.camera is None else examine_alignment(options.camera)
    passed = result.interval_mm[1] <= options.tolerance_mm and not (alignment is not None and alignment.misaligned)
    values: dict[str, Any] = {
        "passed": passed,
        "rms_mm": result.rms_mm,
        "interval_95_mm": list(result.interval_mm),
        "bias_mm": result.bias_mm.tolist(),
        "tolerance_mm": options.tolerance_mm,
        "samples": [{"id": name, "error_mm": float(error)} for name, error in zip(names, result.errors_mm)],
    }
    lines = _lines(values)
    if alignment is not None:
        values["depth_alignment"] = alignment.to_dict()
        lines += _alignment_lines(alignment)
    finish(options, values, lines, report_files(options.out, values, verification_report(values, lines)))
    return 0 if passed else EXIT_NOT_PASSED


def _board(path: Path, camera: Any) -> tuple[tuple[str, ...], Any]:
    from molmo_point.calibration.sample_file import load_session
    from molmo_point.geometry.rigid import inverse
    from molmo_point.hand_eye.samples import Setup
    from molmo_point.hand_eye.validation import verify_with_board

    session = load_session(path, progress)
    wanted = session.gripper_frame if session.data.setup is Setup.EYE_IN_HAND else session.base_frame
    if (camera.target, camera.source) != (wanted, session.camera_frame):
        raise InputError(
            "The transform and the samples must have the same frames",
            f"{camera.target}_T_{camera.source}, samples need {wanted}_T_{session.camera_frame}",
            "check setup and frame names in the sample file",
        )
    return session.data.ids, verify_with_board(session.data, camera.matrix @ inverse(session.data.view_T_camera))


def _touch(path: Path, camera: Any) -> tuple[tuple[str, ...], Any]:
    from molmo_point.calibration.pose_entries import read_pose
    from molmo_point.geometry.mapping_file import read_mapping
    from molmo_point.hand_eye.validation import verify_by_touch

    touches = read_mapping(path).get("touches")
    if not isinstance(touches, list) or not all(isinstance(t, dict) for t in touches):
        raise InputError("The touch file must hold a list `touches`", str(path), "see --help")
    seen, touched = [], []
    for number, touch in enumerate(touches):
        try:
            point = np.array(touch["camera_point_m"], float).reshape(3)
            touched.append(np.array(touch["touched_base_m"], float).reshape(3))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("Every touch must be complete", f"{path}, number {number}: {error}", "see --help") from error
        point = camera.apply(point, frame=camera.source)
        if "base_T_gripper" in touch:
            pose = read_pose(touch["base_T_gripper"], str(number), path)
            point = pose[:3, :3] @ point + pose[:3, 3]
        seen.append(point)
    return tuple(map(str, range(len(seen)))), verify_by_touch(np.array(seen), np.array(touched))


def _alignment_lines(alignment: CameraAlignment) -> list[str]:
    return [alignment.sentence, *([f"→ {alignment.fix}"] if alignment.fix else ())]


def _lines(values: dict[str, Any]) -> list[str]:
    low, high = values["interval_95_mm"]
    return [
        f"{'PASSED' if values['passed'] else 'NOT PASSED'}: error {values['rms_mm']:.2f} mm root mean square, 95 % interval "
        f"{low:.2f} to {high:.2f} mm (tolerance {values['tolerance_mm']:g} mm)",
        "mean offset mm " + "  ".join(f"{v:+.2f}" for v in values["bias_mm"]),
        "worst sample " + max(values["samples"], key=lambda s: s["error_mm"])["id"],
    ]
