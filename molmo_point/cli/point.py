"""`molmo-point point` and `molmo-point count`: one frame, one query, one answer."""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any

from molmo_point.cautions import CautionKind
from molmo_point.cli import frame_source, table
from molmo_point.cli.exit_codes import EXIT_NOTHING_FOUND
from molmo_point.cli.options import grasp_option, plane_option
from molmo_point.cli.output import add_json, show
from molmo_point.cli.overwriting import Output, OutputFormat, add_force, check_outputs
from molmo_point.depth.alignment_monitor import AlignmentMonitor
from molmo_point.depth.frame_noise import noise_of
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.plain_json import plain_json
from molmo_point.request import Kind, PointRequest


def add_point(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `point`."""
    _add_shared(parser, "what to point at, e.g. 'the red mug'")
    group = parser.add_argument_group("how to look")
    group.add_argument(
        "--no-labels", action="store_true", help="stop as soon as the coordinates and the model's own label are known"
    )
    group.add_argument("--time-budget", type=float, metavar="S", help="stop writing after this many seconds")
    group.add_argument("--spread", action="store_true", help="follow unlikely digits, too, and tell where else a point may be")
    group.add_argument("--near", metavar="U,V", help="look at a square around this pixel first (approximate)")
    group.add_argument("--near-size", type=float, metavar="PX", help="side of that square (default: half the shorter side)")
    parser.add_argument("--transform", type=Path, metavar="FILE", help="YAML base_T_camera: give the targets in its target frame")
    parser.add_argument("--view3d", type=Path, metavar="FILE", help="write a picture of the point cloud with the targets (PNG)")
    parser.add_argument("--ply", type=Path, metavar="FILE", help="write the point cloud with the targets")
    parser.add_argument("--cloud", type=Path, metavar="FILE", help="write all measured points, as FILE.ply or FILE.pcd")
    plane_option.add_arguments(parser)
    grasp_option.add_arguments(parser)
    parser.set_defaults(run=run_point)


def add_count(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `count`."""
    _add_shared(parser, "what to count, e.g. 'screws'")
    parser.set_defaults(run=run_count, view3d=None, ply=None, cloud=None)


def _add_shared(parser: argparse.ArgumentParser, query_help: str) -> None:
    parser.add_argument("words", nargs="?", metavar="QUERY", help=query_help)
    parser.add_argument("--query", help="the same as an option")
    frame_source.add_arguments(parser)
    add_model(parser).add_argument("--max-points", type=int, metavar="N", help="keep at most this many points")
    group = parser.add_argument_group("output")
    add_json(group)
    add_force(group)
    group.add_argument("--overlay", type=Path, metavar="FILE", help="write the image with the points drawn on it (PNG)")


def add_model(parser: argparse.ArgumentParser) -> Any:
    """Add the options that name a model with its taught objects, and its settings; return their group."""
    group = add_checkpoint(parser)
    told = "taught objects to know as well (may repeat; --model none: only)"
    group.add_argument("--taught", action="append", type=Path, metavar="FILE", help=told)
    return group


def add_checkpoint(parser: argparse.ArgumentParser) -> Any:
    """Add the options that name a model and its settings; return their group."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", default="tabletop", help="embedded name, folder of a checkpoint, or Hugging Face name")
    group.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: the best there is)")
    group.add_argument("--quantization", help="int8 or nf4 (needs bitsandbytes)")
    group.add_argument("--dtype", help="float32, bfloat16 or float16 (default: float32 on a CPU, else bfloat16)")
    return group


def add_accept_cautions(group: Any) -> None:
    """Add `--accept-cautions` to a parser or a group of a command that moves an arm."""
    kinds = [kind.value for kind in CautionKind]
    told = f"kinds of cautions that do not keep the arm from moving: {', '.join(kinds)}"
    group.add_argument("--accept-cautions", nargs="+", default=[], type=str.upper, choices=kinds, metavar="KIND", help=told)


def load_pointer(options: argparse.Namespace, *, taught: bool = True) -> Any:
    """Load the model that the options of `add_model` name; without its taught objects if `taught` is False."""
    from molmo_point.pointer import Pointer

    settings = {"device": options.device, "quantization": options.quantization, "dtype": options.dtype}
    return Pointer.from_pretrained(options.model, taught=options.taught if taught else None, **settings)


def run_point(options: argparse.Namespace) -> int:
    """Point, print and draw; return 3 if nothing was found."""
    request = _request(options, Kind.POINT)
    _check_pictures(options)
    gripper = grasp_option.checked_gripper(options)
    frame = frame_source.read_frame(options)
    _check_depth(options, frame)
    base_T_camera = None
    if options.transform is not None:
        from molmo_point.geometry.transforms import load_transform

        base_T_camera = load_transform(options.transform)
        if base_T_camera.source != frame.frame:
            raise InputError(
                "--transform must start in the camera's frame",
                given=f"{options.transform} is {base_T_camera.target}_T_{base_T_camera.source}, the image is in {frame.frame}",
                fix=f"give a transform from {frame.frame}, or --frame {base_T_camera.source}",
            )
    frame = plane_option.with_plane(options, frame, base_T_camera)
    alignment = AlignmentMonitor()
    alignment.offer(frame)
    with contextlib.redirect_stdout(sys.stderr):
        pointer = load_pointer(options)
        alignment.wait()
        frame = alignment.marked(frame)
        pointing = plane_option.point_in(options, pointer, frame, request, base_T_camera)
        grasps = [] if gripper is None else grasp_option.find(frame, pointing, gripper, base_T_camera)
        written = _draw(options, frame, pointing, base_T_camera, grasps)
    if base_T_camera is not None:
        pointing = pointing.transformed(base_T_camera)
        grasps = [
            dataclasses.replace(each, candidates=tuple(grasp.transformed(base_T_camera) for grasp in each.candidates))
            for each in grasps
        ]
    values, lines = pointing.to_dict(), table.pointing_lines(pointing, written)
    if pointing.targets:
        values["depth_noise"] = plain_json(noise_of(frame))
        lines += frame_source.noise_lines(frame)
    if alignment.check is not None:
        values["depth_alignment"] = alignment.check.to_dict()
    if source := frame_source.understood(options):
        values["source"] = source
    if gripper is not None:
        values["grasps"] = [each.to_dict() for each in grasps]
        lines += grasp_option.lines(pointing.targets, grasps)
    show(options, values, lines)
    return 0 if pointing.found else EXIT_NOTHING_FOUND


def run_count(options: argparse.Namespace) -> int:
    """Count, print and draw; a count of zero is an answer like any other."""
    request = _request(options, Kind.COUNT)
    _check_pictures(options)
    frame = frame_source.read_frame(options)
    with contextlib.redirect_stdout(sys.stderr):
        count = load_pointer(options).count(frame, request)
        written = _draw(options, frame, count)
    source = frame_source.understood(options)
    values = {**count.to_dict(), **({"source": source} if source else {})}
    show(options, values, table.count_lines(count, written))
    return 0


def _request(options: argparse.Namespace, kind: Kind) -> PointRequest:
    """Build the request from the options that were given."""
    given = [words for words in (options.words, options.query) if words is not None]
    if len(given) != 1:
        raise InputError(
            "QUERY must be given once",
            given="none" if not given else f"{given[0]!r} and --query {given[1]!r}",
            fix="molmo-point point 'the red mug' --image photo.png",
        )
    settings = {} if options.max_points is None else {"max_points": options.max_points}
    return PointRequest(given[0], kind, **settings, **(_look(options) if kind is Kind.POINT else {}))


def _look(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a request that say how to look."""
    near = None
    if options.near is not None:
        try:
            u, v = (float(value) for value in options.near.split(","))
        except ValueError as error:
            fix = "give column and row, e.g. --near 320,240"
            raise InputError("--near must be one pixel U,V", given=repr(options.near), fix=fix) from error
        near = (u, v)
    if options.near_size is not None and near is None:
        raise InputError("--near-size must come with --near", given=f"{options.near_size}", fix="add --near U,V")
    return {
        "labels": not options.no_labels,
        "spread": options.spread,
        "time_budget_s": options.time_budget,
        "near": near,
        "near_size_px": options.near_size,
    }


def _check_pictures(options: argparse.Namespace) -> None:
    """Refuse pictures that would destroy another file."""
    forms = {"overlay": OutputFormat.PNG, "view3d": OutputFormat.PNG, "ply": OutputFormat.PLY, "cloud": OutputFormat.PLY}
    if options.cloud is not None:
        from molmo_point.viz.point_cloud import check_cloud_path

        if check_cloud_path(options.cloud) == ".pcd":
            forms["cloud"] = OutputFormat.PCD
    check_outputs(options, *(Output(f"--{name}", getattr(options, name), form) for name, form in forms.items()))


def _check_depth(options: argparse.Namespace, frame: RgbdFrame) -> None:
    """Refuse a picture that needs depth before the slow model runs."""
    wanted = [f"--{name}" for name in ("view3d", "ply", "cloud", "grasp") if getattr(options, name)]
    if wanted and (frame.depth_m is None or frame.intrinsics is None):
        missing = "depth" if frame.depth_m is None else "intrinsics"
        raise InputError(f"{wanted[0]} needs depth and intrinsics", given=f"no {missing}", fix="add --depth and --intrinsics")


def _draw(
    options: argparse.Namespace, frame: RgbdFrame, answer: Any, base_T_camera: Any = None, grasps: Any = None
) -> list[Path]:
    """Write the pictures that were asked for; return their paths."""
    from molmo_point.viz.overlay import draw_pointing, save_png

    if options.overlay is not None:
        picture = draw_pointing(frame.color, answer)
        save_png(options.overlay, grasp_option.draw(frame, picture, answer.targets, grasps) if grasps else picture)
    if options.view3d is not None:
        from molmo_point.viz.scene3d import render_scene

        targets, briefs = answer.targets, [caution.brief for caution in answer.cautions]
        told = {"banner": f"point to: {answer.query}", "cautions": briefs, "doubtful": range(len(targets)) if briefs else ()}
        save_png(options.view3d, render_scene(frame, targets, base_T_camera=base_T_camera, **told))
    if options.ply is not None:
        from molmo_point.viz.point_cloud import save_ply

        save_ply(options.ply, frame, answer.targets, [str(caution) for caution in answer.cautions])
    if options.cloud is not None:
        from molmo_point.viz.point_cloud import save_cloud

        save_cloud(options.cloud, frame, base_T_camera)
    return [path for path in (options.overlay, options.view3d, options.ply, options.cloud) if path is not None]
