"""The `molmo-point demo` command: the whole path on a simulated table, compared with the truth."""

import argparse
import contextlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.cli import table
from molmo_point.cli.exit_codes import EXIT_NOTHING_FOUND, EXIT_OK
from molmo_point.cli.number_options import amount, seed
from molmo_point.cli.output import add_output, show
from molmo_point.cli.overwriting import Output, OutputFormat, check_outputs
from molmo_point.plain_json import plain_json
from molmo_point.results import Pointing

_OVERLAY, _VIEW = "overlay.png", "scene3d.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `demo`."""
    parser.description = "Renders a tabletop, sees it with a noisy depth camera, points at objects, and compares with the truth."
    parser.add_argument(
        "--seed", type=seed, default=7, help="seed of the tabletop (default 7; on some the embedded model errs, see its card)"
    )
    parser.add_argument("--queries", type=amount(100), default=3, metavar="N", help="number of objects to ask for (default 3)")
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    add_output(parser, "out/demo", run, "folder for the pictures")


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 3 if nothing was found."""
    from molmo_point.pointer import Pointer
    from molmo_point.sim import TabletopScene
    from molmo_point.sim.camera import SimulatedCamera

    pictures = (Output("--out", options.out / name, OutputFormat.PNG) for name in (_OVERLAY, _VIEW))
    check_outputs(options, *pictures, makes_folders=True)
    with contextlib.redirect_stdout(sys.stderr):
        pointer = Pointer.from_pretrained(options.model, device=options.device)
        with TabletopScene.random(options.seed) as scene, SimulatedCamera(scene, seed=options.seed) as camera:
            frame = camera.read()
            asked = unique_objects(scene.visible_objects())[: options.queries]
            pointings = [pointer.point(frame, seen.item.name) for seen in asked]
            answers = [compare(seen, pointing, scene) for seen, pointing in zip(asked, pointings, strict=True)]
        written = draw(options.out, frame, pointings, scene.base_T_camera)
    values = {"seed": options.seed, "answers": answers, "pictures": [str(path) for path in written]}
    show(options, plain_json(values), [*lines(answers), "", *(f"wrote {path}" for path in written)])
    return EXIT_OK if any(answer["error_mm"] is not None for answer in answers) else EXIT_NOTHING_FOUND


def unique_objects(visible: list[Any]) -> list[Any]:
    """Sort the objects with a unique name that are well in view, largest first."""
    from molmo_point.evaluation.tabletop import nameable

    return sorted(nameable(visible), key=lambda seen: -seen.pixel_count)


def compare(seen: Any, pointing: Pointing, scene: Any) -> dict[str, Any]:
    """Compare an answer with the truth: the visible surface point in the middle of the object."""
    truth = scene.base_T_camera.apply(seen.point_camera_m, frame=scene.frame)
    in_camera = pointing.targets[0] if pointing.targets else None
    target = in_camera.transformed(scene.base_T_camera) if in_camera else None
    return {
        "query": pointing.query,
        "uv": [target.u, target.v] if target else None,
        "position_camera_m": in_camera.position_m.tolist() if in_camera else None,
        "position_base_m": target.position_m.tolist() if target else None,
        "sigma_mm": target.sigma_m * 1e3 if target else None,
        "truth_base_m": np.asarray(truth).tolist(),
        "error_mm": float(np.linalg.norm(target.position_m - truth)) * 1e3 if target else None,
        "confidence": pointing.best.point.confidence if pointing.best else math.nan,
        "absent_probability": pointing.absent_probability,
        "trusted": pointing.trusted,
        "cautions": list(pointing.cautions),
        "total_ms": float(pointing.timing_ms.get("total", float("nan"))),
    }


def lines(answers: list[dict[str, Any]]) -> list[str]:
    """Format the answers as the lines of a table, and a line for each caution."""
    head = ["#", "query", "u v px", "camera x y z m", "base x y z m", "σ mm", "truth in base m", "error mm", "ms"]
    rows = []
    for i, answer in enumerate(answers):
        found = ["–"] * 4
        if answer["uv"]:
            found = [" ".join(f"{value:.1f}" for value in answer["uv"])]
            found += [_position(answer[key]) for key in ("position_camera_m", "position_base_m")]
            found.append(f"{answer['sigma_mm']:.1f}")
        error = "–" if answer["error_mm"] is None else f"{answer['error_mm']:.1f}"
        truth = _position(answer["truth_base_m"])
        rows.append([str(i + 1), answer["query"], *found, truth, error, f"{answer['total_ms']:.0f}"])
    told = [f"caution {answer['query']}: {caution}" for answer in answers for caution in answer["cautions"]]
    return [*table.columns(head, rows), *told]


def _position(position_m: list[float]) -> str:
    return " ".join(f"{value:+.3f}" for value in position_m)


def draw(folder: Path, frame: Any, pointings: list[Pointing], base_T_camera: Any) -> list[Path]:
    """Write the overlay and the 3D view; return their paths."""
    from molmo_point.viz.overlay import draw_points, save_png
    from molmo_point.viz.scene3d import render_scene

    folder.mkdir(parents=True, exist_ok=True)
    found = [(found, pointing.trusted) for pointing in pointings for found in pointing]
    targets = [(each.target, trusted) for each, trusted in found if each.target is not None]
    doubtful, outlined = ([i for i, (_, trusted) in enumerate(each) if not trusted] for each in (found, targets))
    cautions = [f"{pointing.query}: {caution.brief}" for pointing in pointings for caution in pointing.cautions]
    overlay = draw_points(frame.color, [each for each, _ in found], cautions=cautions, doubtful=doubtful)
    marked = tuple(target for target, _ in targets)
    view = render_scene(frame, marked, base_T_camera=base_T_camera, cautions=cautions, doubtful=outlined)
    save_png(folder / _OVERLAY, overlay)
    save_png(folder / _VIEW, view)
    return [folder / _OVERLAY, folder / _VIEW]
