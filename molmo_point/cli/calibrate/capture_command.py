"""Command `molmo-point calibrate capture`: guided recording of samples, with a camera or a simulated arm."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.cli.calibrate.output import finish, progress
from molmo_point.cli.camera_option import add_camera_option
from molmo_point.errors import InputError

_LOOKS_PER_VIEW = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = "Tells the next pose, takes a sample when the view is still, and writes a folder for `hand-eye`."
    group = parser.add_argument_group("arm and camera (one of)")
    group.add_argument("--simulated", action="store_true", help="an arm that moves by itself in front of a rendered board")
    add_camera_option(group, "a camera; robot poses come line by line on stdin, x y z qx qy qz qw")
    parser.add_argument("--board", type=Path, metavar="YAML", help="the board (default: ChArUco 7 x 5, 30 mm)")
    parser.add_argument("--setup", choices=["eye_in_hand", "eye_to_hand"], default="eye_in_hand")
    parser.add_argument("--frames", nargs=3, metavar=("BASE", "GRIPPER", "CAMERA"), default=None, help="names of the frames")
    parser.add_argument("--count", type=int, default=12, help="samples to take (default 12)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulated arm (default 0)")
    parser.add_argument("--out", type=Path, default=Path("out/samples"), help="folder (default out/samples)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Guide the user until enough samples are taken."""
    from molmo_point.calibration.boards import DEFAULT, load_board
    from molmo_point.calibration.capture import GuidedCapture
    from molmo_point.hand_eye.samples import MIN_SAMPLES, Setup

    if options.simulated == (options.camera is not None):
        raise InputError("One of --simulated and --camera must be given", "none or both", "give --simulated or --camera CAMERA")
    if options.count < MIN_SAMPLES:
        raise InputError(f"--count must be at least {MIN_SAMPLES}", str(options.count), "e.g. --count 15")
    board = load_board(options.board) if options.board else DEFAULT
    setup = Setup(options.setup)
    frames = tuple(options.frames) if options.frames else ("base_link", "tool0", "camera_color_optical_frame")
    if options.simulated:
        truth = _simulated(options, board, setup, frames, GuidedCapture)
        values: dict[str, Any] = {"samples": truth[1], "truth": truth[0].tolist()}
    else:
        values = {"samples": _live(options, board, setup, frames, GuidedCapture)}
    finish(options, {**values, "folder": str(options.out)}, [f"{values['samples']} samples in {options.out}"], {})
    return 0


def _simulated(options: argparse.Namespace, board: Any, setup: Any, frames: Any, guide_class: Any) -> tuple[np.ndarray, int]:
    from molmo_point.calibration.capture import LookStatus
    from molmo_point.calibration.rehearsal_arm import RehearsalArm

    arm = RehearsalArm(board, setup, options.seed)
    guide = guide_class(options.out, board, arm.intrinsics, setup, frames=frames)
    targets = [*guide.plan] * 2
    for target in targets:
        if len(guide) >= options.count:
            break
        arm.go_to_view(target)
        for _ in range(_LOOKS_PER_VIEW):
            advice = guide.look(*arm.read())
            if advice.status in (LookStatus.TAKEN, LookStatus.KNOWN_VIEW):
                break
        progress(f"{advice.words}  |  {guide.coverage()}")
    return arm.x, len(guide)


def _live(options: argparse.Namespace, board: Any, setup: Any, frames: Any, guide_class: Any) -> int:
    from molmo_point.camera.registry import open_camera

    with open_camera(options.camera) as camera:
        first = camera.read()
        if first.intrinsics is None:
            raise InputError("The camera must give intrinsics", camera.name, "calibrate them first")
        guide = guide_class(options.out, board, first.intrinsics, setup, frames=frames)
        for pose in poses_from(sys.stdin):
            for _ in range(_LOOKS_PER_VIEW):
                advice = guide.look(camera.read().color, pose)
                if advice.taken:
                    break
            progress(f"{advice.words}  |  {guide.coverage()}")
            if len(guide) >= options.count:
                break
    return len(guide)


def poses_from(lines: Any) -> Iterator[np.ndarray]:
    """Read poses (4, 4) from lines `x y z qx qy qz qw`, meters.

    Raises:
        InputError: A line does not hold seven numbers.
    """
    from molmo_point.geometry.transforms import Transform

    for line in lines:
        if not line.strip():
            continue
        try:
            numbers = [float(word) for word in line.replace(",", " ").split()]
        except ValueError:
            numbers = []
        if len(numbers) != 7:
            raise InputError("A robot pose must be seven numbers", repr(line.strip()), "x y z qx qy qz qw, in meters")
        yield Transform.from_quaternion("base", "gripper", numbers[3:], numbers[:3]).matrix
