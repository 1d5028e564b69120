"""Command `molmo-point calibrate intrinsics`: lens calibration from photos, a recording or a camera."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.calibration.camera_fit import MODELS
from molmo_point.cli.frame_source import add_camera_option, chosen_source
from molmo_point.cli.output import add_output, finish, progress, report_files
from molmo_point.cli.overwriting import check_report, signed_yaml
from molmo_point.errors import CameraError
from molmo_point.geometry.lens_models import COEFFICIENTS
from molmo_point.text_checks import checked_count

_RESULT = "intrinsics.yaml"
_LIVE_PAUSE_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = "Calibrates the lens from photos of a board; writes intrinsics.yaml, report.html and report.json."
    group = parser.add_argument_group("photos (one of)")
    group.add_argument("--images", type=Path, nargs="+", metavar="PATH", help="files, or folders of them")
    group.add_argument("--recording", type=Path, metavar="PATH", help="a recording: its folder or zip file")
    add_camera_option(group, "take photos, one a second; move the board between them")
    parser.add_argument("--count", type=int, default=25, help="photos from the camera, or at most from a recording (default 25)")
    parser.add_argument("--board", type=Path, required=True, metavar="YAML", help="the board, see `calibrate board`")
    parser.add_argument("--model", choices=list(MODELS), help="distortion model (default: chosen by error on held-out photos)")
    parser.add_argument("--factory", type=Path, metavar="FILE", help="intrinsics to compare with (a recording has its own)")
    add_output(parser, "out/intrinsics", run)


def run(options: argparse.Namespace) -> int:
    """Calibrate; nothing is written unless it succeeds."""
    import yaml

    from molmo_point.calibration.boards import load_board
    from molmo_point.calibration.intrinsics_fit import calibrate_intrinsics
    from molmo_point.calibration.reports import intrinsics_report
    from molmo_point.camera.intrinsics_files.camera_choice import load_intrinsics

    check_report(options, _RESULT)
    board = load_board(options.board)
    photos, factory = _photos(options)
    if options.factory:
        factory = load_intrinsics(options.factory)
    result = calibrate_intrinsics(board, photos, model=options.model, factory=factory, progress=progress)
    values = result.to_dict()
    files = {
        options.out / _RESULT: signed_yaml(yaml.safe_dump(result.fit.intrinsics.to_dict(), sort_keys=False)),
        **report_files(options.out, values, intrinsics_report(result, dict(photos))),
    }
    finish(options, values, _lines(values), files)
    return 0


def _photos(options: argparse.Namespace) -> tuple[list[tuple[str, np.ndarray]], Any]:
    if chosen_source(options, "images", "recording", "camera") == "--images":
        return _from_files(options.images), None
    checked_count("--count", options.count, 25)
    return _from_recording(options) if options.recording else _from_camera(options)


def _from_files(paths: list[Path]) -> list[tuple[str, np.ndarray]]:
    from molmo_point.camera.image_file import list_images, load_color

    files: list[Path] = []
    for path in paths:
        files += list_images(path) if path.is_dir() else [path]
    names = [path.name for path in files]
    unique = len(set(names)) == len(names)
    return [(path.name if unique else str(path), load_color(path)) for path in files]


def _from_recording(options: argparse.Namespace) -> tuple[list[tuple[str, np.ndarray]], Any]:
    from molmo_point.camera.recording import Recording

    with Recording(options.recording) as recording:
        numbers = np.unique(np.linspace(0, len(recording) - 1, min(options.count, len(recording))).astype(int))
        frames = [recording[int(number)] for number in numbers]
    return [(f"frame {number}", frame.color) for number, frame in zip(numbers, frames)], frames[0].intrinsics


def _from_camera(options: argparse.Namespace) -> tuple[list[tuple[str, np.ndarray]], Any]:
    import time

    from molmo_point.camera.registry import open_camera

    photos, factory = [], None
    with open_camera(options.camera) as camera:
        for number in range(1, options.count + 1):
            if not camera.replays:
                time.sleep(_LIVE_PAUSE_S)
            try:
                frame = camera.read()
            except CameraError:
                if len(photos) < 5:
                    raise
                break
            factory = frame.intrinsics
            photos.append((f"photo {number}", frame.color))
            progress(f"photo {number} of {options.count}: now move the board")
    return photos, factory


def _lines(values: dict[str, Any]) -> list[str]:
    camera, sigma = values["intrinsics"], values["sigma"]
    lens = dict(zip(COEFFICIENTS[camera["distortion_model"]], camera["distortion"]))
    numbers = lens | {name: camera[name] for name in ("fx", "fy", "cx", "cy")}
    lines = [f"{name:>3} {numbers[name]:11.4f} ± {sigma[name]:.4f}" for name in sigma]
    lines.append(f"error {values['rms_px']:.3f} px, model '{values['model']}', {len(values['images'])} photos used")
    doubt = values["corner_sigma_px"]
    known = "" if doubt is None else f", the lens is uncertain by {doubt:.2f} px there"
    lines.append(f"board points in {values['corners_seen']} of 4 corners{known}")
    if values["factory_difference_px"]:
        gap = values["factory_difference_px"]
        lines.append(f"factory values differ by {gap['rms']:.2f} px over the image, {gap['largest']:.2f} px at most")
    lines += [f"not used: {item['name']}: {item['reason']}" for item in values["dropped"]]
    return lines + [f"warning: {words}" for words in values["warnings"]]
