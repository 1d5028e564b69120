"""The options of a camera without depth: a known plane, a board on the table, or further views."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of a command that points."""
    group = parser.add_argument_group("targets without a depth camera (needs --intrinsics)")
    group.add_argument(
        "--plane", type=Path, metavar="FILE", help="YAML or JSON of the table: frame and z_m, or normal and offset_m"
    )
    group.add_argument(
        "--board-plane", type=Path, metavar="FILE", help="YAML of a board that lies flat on the table, in the image"
    )
    group.add_argument("--height", type=float, metavar="M", help="height of the surfaces above the plane (default 0.05 ± 0.025)")
    group.add_argument(
        "--view",
        nargs=2,
        type=Path,
        action="append",
        metavar=("IMAGE", "TRANSFORM"),
        help="another image of the same camera and scene, and its base_T_camera; may be repeated",
    )


def with_plane(options: argparse.Namespace, frame: RgbdFrame, base_T_camera: Transform | None) -> RgbdFrame:
    """Return the frame with the plane that the options name.

    Raises:
        InputError: Two of the options are given, the frame has depth or no intrinsics, or a file is broken.
        FrameError: The plane is in a frame that is neither the optical one nor the base frame of `--transform`.
    """
    given = [f"--{name}" for name in ("plane", "board-plane", "view") if getattr(options, name.replace("-", "_"))]
    if options.height is not None and not {"--plane", "--board-plane"} & set(given):
        raise InputError("--height must come with --plane or --board-plane", f"--height {options.height}", "add one of them")
    if not given:
        return frame
    if len(given) > 1:
        raise InputError("One of --plane, --board-plane and --view must be given", " and ".join(given), "choose one way")
    if frame.depth_m is not None:
        raise InputError(f"{given[0]} must come without depth", f"{given[0]} and depth", "leave out one of them")
    if frame.intrinsics is None:
        raise InputError(f"{given[0]} must come with intrinsics", "no intrinsics", "add --intrinsics FILE")
    if options.view:
        if base_T_camera is None:
            raise InputError("--view must come with --transform", "no --transform", "add the base_T_camera of the first image")
        return frame
    plane = _plane(options, frame)
    if options.height is not None:
        plane = dataclasses.replace(plane, height_m=options.height)
    if plane.frame == frame.frame:
        return dataclasses.replace(frame, plane=plane)
    if base_T_camera is None or base_T_camera.target != plane.frame:
        what = "The plane must be in the optical frame, or in the target frame of --transform"
        raise FrameError(what, f"{options.plane} is in {plane.frame!r}", f"add --transform with {plane.frame}_T_{frame.frame}")
    return dataclasses.replace(frame, plane=plane.transformed(base_T_camera.inverse()))


def point_in(options: argparse.Namespace, pointer: Any, frame: RgbdFrame, request: Any, base_T_camera: Transform | None) -> Any:
    """Point in the frame, and in the further views that the options name.

    Raises:
        InputError: A file is broken, or an image has another size.
        FrameError: A transform does not fit the first one.
    """
    if not options.view:
        return pointer.point(frame, request)
    from molmo_point.camera.image_file import load_frame
    from molmo_point.geometry.transforms import load_transform
    from molmo_point.several_views import PosedFrame, point_in_views

    assert base_T_camera is not None
    views = [PosedFrame(frame, base_T_camera)]
    for image, transform in options.view:
        # Read as the first image was: with intrinsics an orientation of EXIF is refused, and a turned camera stays turned.
        read = {"intrinsics_camera": options.intrinsics_camera, "rotate": options.rotate}
        other = load_frame(image, None, options.intrinsics, frame=frame.frame, **read)
        other = dataclasses.replace(other, intrinsics=frame.intrinsics, rotate_deg=frame.rotate_deg)
        views.append(PosedFrame(other, load_transform(transform)))
    return point_in_views(pointer, views, request)


def _plane(options: argparse.Namespace, frame: RgbdFrame) -> Any:
    if options.plane is not None:
        from molmo_point.geometry.known_plane import load_plane

        return load_plane(options.plane)
    from molmo_point.calibration.board_plane import board_plane
    from molmo_point.calibration.boards import load_board

    assert frame.intrinsics is not None
    return board_plane(frame.color, load_board(options.board_plane), frame.intrinsics, frame=frame.frame)
