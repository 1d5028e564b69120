"""The image of a command, and its depth: from files, a recording, or a camera."""

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from molmo_point.camera.base import Camera
from molmo_point.camera.registry import parse_camera, usage
from molmo_point.cli.output import progress
from molmo_point.depth.frame_noise import noise_of
from molmo_point.errors import InputError
from molmo_point.frame import OPTICAL_FRAME, ROTATIONS, RgbdFrame
from molmo_point.geometry.depth_cameras import AUTO, DEPTH_CAMERAS, depth_camera
from molmo_point.geometry.depth_noise import NoiseSource

_OWNERS = {
    "--depth": "--image",
    "--depth-scale": "--image",
    "--intrinsics": "--image",
    "--intrinsics-camera": "--image",
    "--index": "--recording",
    "--serial": "--camera",
}
"""Source that each special option belongs to; with another one it would be ignored."""
_UNDERSTOOD = "understood"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the source of the image and its depth."""
    group = parser.add_argument_group("source of the image (one of --image, --recording, --camera)")
    group.add_argument("--image", type=Path, metavar="FILE", help="color image (PNG, JPEG, ...); without depth, turned upright")
    group.add_argument("--depth", type=Path, metavar="FILE", help="its depth: 16-bit PNG, TIFF or PGM, EXR, .npy, ...")
    group.add_argument("--depth-scale", type=float, metavar="M", help="meters per unit of depth (default: found out, or asked)")
    group.add_argument("--intrinsics", type=Path, metavar="FILE", help="intrinsics in a layout of docs/cameras.md")
    group.add_argument("--intrinsics-camera", metavar="NAME", help="name of the camera in a file of several cameras")
    turn = "turn clockwise that makes the picture upright for the model; pixels and positions stay the sensor's"
    group.add_argument("--rotate", type=int, choices=ROTATIONS, help=turn)
    group.add_argument("--verbose", action="store_true", help="tell on stderr how files of intrinsics and depth were understood")
    group.add_argument("--frame", metavar="NAME", help=f"name of the camera's optical frame (default {OPTICAL_FRAME})")
    group.add_argument("--recording", type=Path, metavar="PATH", help="a recording: its folder or zip file")
    group.add_argument("--index", type=int, metavar="N", help="index of a frame of the recording (default 0; -1 is the last)")
    add_camera_option(group, "take one frame from a camera")
    add_camera_model_option(group)
    group.add_argument("--serial", help="serial number of the camera (default: the first found)")


def add_camera_option(parser: Any, purpose: str) -> None:
    """Add `--camera` to a parser or a group, with its purpose (no period) and the drivers of the registry in its help."""
    words = f"{purpose}: {usage()}; options after a question mark, e.g. realsense?fps=15; see docs/cameras.md"
    parser.add_argument("--camera", metavar="CAMERA", help=words.replace("%", "%%"))


def add_camera_model_option(parser: Any) -> None:
    """Add `--camera-model` to a parser or a group; None stands for "auto"."""
    words = f"camera that measured the depth, for its noise: {', '.join(DEPTH_CAMERAS)}; with the size of its depth image, e.g."
    told = f"{words} D435:1280 (default {AUTO}: as the source says, else an estimate from the frame)"
    parser.add_argument("--camera-model", metavar="NAME", help=told)


def with_camera_model(options: argparse.Namespace, frame: RgbdFrame) -> RgbdFrame:
    """Return the frame with the noise of `--camera-model`, if it names one.

    Raises:
        InputError: The name is unknown.
    """
    noise = depth_camera(options.camera_model or AUTO)
    return frame if noise is None else dataclasses.replace(frame, depth_noise=noise)


def noise_lines(frame: RgbdFrame) -> list[str]:
    """Describe noise that nobody stated."""
    if frame.depth_m is None or frame.intrinsics is None or not (noise := noise_of(frame)).guessed:
        return []
    sigma_mm = noise.sigma_z(1.0, frame.intrinsics.focal_px) * 1e3
    origin = (
        "estimated from planes of the frame" if noise.source is NoiseSource.ESTIMATED else "assumed, the frame shows no plane"
    )
    return [f"noise  {sigma_mm:.1f} mm at 1 m, {origin}; --camera-model states it"]


def chosen_source(options: argparse.Namespace, *names: str) -> str:
    """Return the option that was given, e.g. --image."""
    given = [f"--{name}" for name in names if getattr(options, name)]
    if len(given) != 1:
        all_names = ", ".join(f"--{name}" for name in names)
        raise InputError(f"One of {all_names} must be given", " and ".join(given) or "none", "choose one source")
    return given[0]


def read_frame(options: argparse.Namespace) -> RgbdFrame:
    """Read the frame that the options name."""
    source = chosen_source(options, "image", "recording", "camera")
    check_owners(options, source)
    if options.image is not None:
        return with_camera_model(options, _from_files(options))
    frame = _from_recording(options) if options.recording is not None else _from_camera(options)
    changed = {"frame": options.frame, "rotate_deg": options.rotate}
    changed = {name: value for name, value in changed.items() if value is not None}
    return with_camera_model(options, dataclasses.replace(frame, **changed))


def check_owners(options: argparse.Namespace, source: str) -> None:
    """Refuse an option that goes with another source, where it would be ignored.

    Raises:
        InputError: The message names the option.
    """
    for name, owner in _OWNERS.items():
        if getattr(options, name.strip("-").replace("-", "_")) is not None and owner != source:
            raise InputError(f"{name} goes with {owner} only", f"{name} with {source}", f"leave {name} out")


def understood(options: argparse.Namespace) -> dict[str, Any]:
    """Return how the files of the last `read_frame` were understood, for `--json`; empty without files."""
    return dict(vars(options).get(_UNDERSTOOD, {}))


def _told(options: argparse.Namespace, found: Mapping[str, Any]) -> None:
    """Keep what was understood, and print it with `--verbose`."""
    setattr(options, _UNDERSTOOD, found)
    for part, values in found.items() if options.verbose else ():
        for name, value in values.items():
            progress(f"{part} {name}: {value}")


def _from_files(options: argparse.Namespace) -> RgbdFrame:
    from molmo_point.camera.image_file import ImageFiles

    with ImageFiles(
        options.image,
        depth=options.depth,
        intrinsics=options.intrinsics,
        depth_scale_m=options.depth_scale,
        intrinsics_camera=options.intrinsics_camera,
        frame=options.frame or OPTICAL_FRAME,
        rotate=options.rotate,
    ) as camera:
        frame = camera.read()
        _told(options, camera.understood)
    return frame


def _from_recording(options: argparse.Namespace) -> RgbdFrame:
    from molmo_point.camera.recording import Recording

    number = options.index or 0
    with Recording(options.recording) as recording:
        if not -len(recording) <= number < len(recording):
            raise InputError(
                f"--index must be {-len(recording)} to {len(recording) - 1}",
                f"--index {number}, {options.recording} holds {len(recording)} frames",
                f"use 0 to {len(recording) - 1}",
            )
        return recording.questioned(recording[number])


def open_named_camera(options: argparse.Namespace) -> Camera:
    """Open the camera that --camera and --serial name."""
    request = parse_camera(options.camera)
    if options.serial is not None:
        if request.driver.source.name != "serial":
            given = f"--serial with --camera {options.camera}"
            raise InputError("--serial goes with a camera that has a serial number", given, "leave --serial out")
        request = request.filled({"serial": options.serial})
    return request.open()


def _from_camera(options: argparse.Namespace) -> RgbdFrame:
    with open_named_camera(options) as camera:
        frame = camera.read()
        _told(options, camera.understood)
    return frame
