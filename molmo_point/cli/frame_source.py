"""Where the command line takes its frame from: files, a recording, or a camera."""

import argparse
import dataclasses
from pathlib import Path

from molmo_point.errors import InputError
from molmo_point.frame import OPTICAL_FRAME, RgbdFrame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where the image and its depth come from."""
    group = parser.add_argument_group("where the image comes from (one of --image, --recording, --camera)")
    group.add_argument("--image", type=Path, metavar="FILE", help="colour image (PNG, JPEG, ...)")
    group.add_argument("--depth", type=Path, metavar="FILE", help="its depth: 16-bit PNG in millimetres or float .npy in metres")
    group.add_argument("--depth-scale", type=float, metavar="M", help="metres per unit of 16-bit depth (default 0.001)")
    group.add_argument("--intrinsics", type=Path, metavar="FILE", help="JSON or YAML: width height fx fy cx cy [distortion]")
    group.add_argument("--frame", metavar="NAME", help=f"name of the camera's optical frame (default {OPTICAL_FRAME})")
    group.add_argument("--recording", type=Path, metavar="PATH", help="a recording: its folder or zip file")
    group.add_argument("--index", type=int, metavar="N", help="which frame of the recording (default 0; -1 is the last)")
    group.add_argument("--camera", choices=["realsense"], help="take one frame from a camera")
    group.add_argument("--serial", help="serial number of the camera (default: the first found)")


def read_frame(options: argparse.Namespace) -> RgbdFrame:
    """Reads the frame that the options name.

    Raises:
        InputError: no source or several, an option that does not go with the source, or a broken file.
        CameraError: no camera, or it delivers nothing.
        DependencyError: pyrealsense2 is missing.
    """
    sources = {"--image": options.image, "--recording": options.recording, "--camera": options.camera}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise InputError(
            "One source of an image is needed",
            given=" and ".join(given) or "none",
            fix="give one of --image FILE, --recording PATH, --camera realsense",
        )
    _refuse_strays(options, given[0])
    if options.image is not None:
        return _from_files(options)
    frame = _from_recording(options) if options.recording is not None else _from_camera(options)
    return frame if options.frame is None else dataclasses.replace(frame, frame=options.frame)


def _refuse_strays(options: argparse.Namespace, source: str) -> None:
    """An option that would be ignored silently is a mistake worth a word."""
    belongs = {
        "--depth": ("--image", options.depth),
        "--depth-scale": ("--image", options.depth_scale),
        "--intrinsics": ("--image", options.intrinsics),
        "--index": ("--recording", options.index),
        "--serial": ("--camera", options.serial),
    }
    for name, (owner, value) in belongs.items():
        if value is not None and owner != source:
            raise InputError(f"{name} goes with {owner} only", given=f"{name} with {source}", fix=f"leave {name} out")


def _from_files(options: argparse.Namespace) -> RgbdFrame:
    from molmo_point.camera.image_file import load_frame

    return load_frame(
        options.image,
        options.depth,
        options.intrinsics,
        frame=options.frame or OPTICAL_FRAME,
        depth_scale_m=options.depth_scale,
    )


def _from_recording(options: argparse.Namespace) -> RgbdFrame:
    from molmo_point.camera.recording import Recording

    number = options.index or 0
    with Recording(options.recording) as recording:
        if not -len(recording) <= number < len(recording):
            raise InputError(
                "The recording has no such frame",
                given=f"--index {number}, {options.recording} holds {len(recording)} frames",
                fix=f"use 0 to {len(recording) - 1}",
            )
        return recording[number]


def _from_camera(options: argparse.Namespace) -> RgbdFrame:
    from molmo_point.camera.realsense import RealSense

    with RealSense(options.serial) as camera:
        return camera.read()
