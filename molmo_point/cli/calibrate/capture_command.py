"""Command `molmo-point calibrate capture`: guided recording of samples, with a camera or a simulated arm."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.cli.frame_source import add_camera_option, chosen_source
from molmo_point.cli.number_options import amount, seed
from molmo_point.cli.output import add_output, finish, progress
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
    parser.add_argument("--count", type=amount(1000), default=12, help="samples to take (default 12)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the simulated arm (default 0)")
    add_output(parser, "out/samples", run, force=False)


def run(options: argparse.Namespace) -> int:
    """Guide the user until enough samples are taken."""
    from molmo_point.calibration.boards import DEFAULT, load_board
    from molmo_point.calibration.capture import GuidedCapture
    from molmo_point.calibration.rehearsal_arm import RehearsalArm
    from molmo_point.hand_eye.samples import MIN_SAMPLES, Setup

    chosen_source(options, "simulated", "camera")
    if options.count < MIN_SAMPLES:
        raise InputError(f"--count must be at least {MIN_SAMPLES}", str(options.count), "e.g. --count 15")
    board = load_board(options.board) if options.board else DEFAULT
    setup = Setup(options.setup)
    frames = tuple(options.frames) if options.frames else ("base_link", "tool0", "camera_color_optical_frame")
    begin = partial(GuidedCapture, options.out, board, setup=setup, frames=frames)
    if options.simulated:
        arm = RehearsalArm(board, setup, options.seed)
        guide = begin(arm.intrinsics)
        values: dict[str, Any] = {"samples": _record(guide, _rehearsed(arm, guide), options.count), "truth": arm.x.tolist()}
    else:
        values = {"samples": _live(options, begin)}
    finish(options, {**values, "folder": str(options.out)}, [f"{values['samples']} samples in {options.out}"], {})
    return 0


def _rehearsed(arm: Any, guide: Any) -> Iterator[Callable[[], Any]]:
    for target in [*guide.plan] * 2:
        arm.go_to_view(target)
        yield arm.read


def _live(options: argparse.Namespace, begin: Callable[..., Any]) -> int:
    from molmo_point.camera.registry import open_camera

    with open_camera(options.camera) as camera:
        first = camera.read()
        if first.intrinsics is None:
            raise InputError("The camera must give intrinsics", camera.name, "calibrate them first")
        views = (lambda pose=pose: (camera.read().color, pose) for pose in poses_from(sys.stdin))
        return _record(begin(first.intrinsics), views, options.count)


def _record(guide: Any, views: Iterable[Callable[[], Any]], count: int) -> int:
    """Look through image and pose of each view a few times, until enough samples are taken; return their number."""
    from molmo_point.calibration.capture import LookStatus

    for view in views:
        for _ in range(_LOOKS_PER_VIEW):
            advice = guide.look(*view())
            if advice.status in (LookStatus.TAKEN, LookStatus.KNOWN_VIEW):
                break
        progress(f"{advice.words}  |  {guide.coverage()}")
        if len(guide) >= count:
            break
    return len(guide)


def poses_from(lines: Any) -> Iterator[np.ndarray]:
    """Read poses (4, 4) from lines `x y z qx qy qz qw`, meters."""
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
