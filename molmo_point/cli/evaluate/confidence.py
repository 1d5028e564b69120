"""The `molmo-point eval calibration` command: calibration of a checkpoint's probabilities."""

import argparse
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from molmo_point.backend import resolve_checkpoint
from molmo_point.cli.progress import counted
from molmo_point.errors import InputError
from molmo_point.evaluation import calibration_fit as fitting
from molmo_point.evaluation.observations import Observations, observe
from molmo_point.evaluation.tabletop import sigma_px
from molmo_point.files import check_writable, write_file
from molmo_point.geometry.mapping_file import read_mapping
from molmo_point.pointer import Pointer

_SETTINGS = "pointing.json"


def check(options: argparse.Namespace) -> None:
    """Refuse before the long measurement what cannot be done after it."""
    if abs(options.seed - fitting.VALIDATION_SEED) < options.scenes:
        given = f"--seed {options.seed} --scenes {options.scenes}, fitted on scenes from {fitting.VALIDATION_SEED}"
        raise InputError("Test scenes must not be among the fitted ones", given, "leave --seed out")
    check_output(options)


def check_output(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written."""
    if options.write and not isinstance(resolve_checkpoint(options.model), Path):
        fix = "download the checkpoint and pass its folder"
        raise InputError("--write must go with the folder of a checkpoint", repr(options.model), fix)
    if options.write:
        check_writable(Path(resolve_checkpoint(options.model)) / _SETTINGS)


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Fit on validation scenes and measure on test scenes; return the figures and their table."""
    pointer = Pointer.from_pretrained(options.model, device=options.device)

    def observed(first_seed: int) -> tuple[dict[str, Any], Observations]:
        seeds = counted(range(first_seed, first_seed + options.scenes), options.scenes, "scene")
        seen = observe(pointer, seeds, pointer.backend.tells_spread)
        about = {"scenes_of": "tabletop", "first_seed": first_seed, "scenes": options.scenes, "answers": len(seen.answers)}
        return about, seen

    figures, lines = calibrate(options, (observed(seed) for seed in (fitting.VALIDATION_SEED, options.seed)))
    return {"model": options.model, **figures}, lines


def calibrate(options: argparse.Namespace, observed: Iterable[tuple[dict[str, Any], Observations]]) -> tuple[dict[str, Any], str]:
    """Fit a calibration, measure it, and write the files that the options name.

    Args:
        options: With `model`, `plot` and `write`.
        observed: Description and observations of the scenes to fit on, then of the test scenes.

    Returns:
        The figures, and a Markdown table of them.
    """
    (fitted_on, validation), (measured_on, test) = observed
    calibration = fitting.fit_calibration(validation)
    measured = fitting.measure_calibration(test, calibration)
    settings = {**calibration.to_settings(), "fitted_on": fitted_on, "measured_on": measured_on, "measured": measured}
    if options.plot is not None:
        from molmo_point.viz.overlay import save_png
        from molmo_point.viz.reliability_diagram import draw_reliability

        pairs = zip(fitting.stated_claims(test, fitting.RAW), fitting.stated_claims(test, calibration), strict=True)
        titles = ("every point is on what was meant", "nothing in the image fits")
        panels = [
            (title, fitting.reliability(raw), fitting.reliability(stated))
            for title, (raw, stated) in zip(titles, pairs, strict=True)
        ]
        save_png(options.plot, draw_reliability(panels))
    if options.write:
        store(Path(resolve_checkpoint(options.model)), settings, sigma_px(validation.offset_px))
    return settings, fitting.table(measured)


def store(folder: Path, settings: dict[str, Any], sigma_px: float) -> None:
    """Write the calibration into the ``pointing.json`` of a checkpoint's folder and keep its other entries.

    A checkpoint that states no error of its points gets `sigma_px`, pixels at 640.
    """
    path, stated = folder / _SETTINGS, math.nan
    try:
        held: dict[str, Any] = read_mapping(path) if os.path.lexists(path) else {}
        held = {"sigma_px_at_640": round(sigma_px, 2)} | held | {"calibration": settings}
        stated = float(held["sigma_px_at_640"])
        if not math.isnan(stated):
            write_file(path, (json.dumps(held, indent=1, allow_nan=False) + "\n").encode())
    except (OSError, ValueError, TypeError) as error:
        raise InputError("pointing.json must be a JSON file that can be written", f"{path}: {error}", "repair it") from error
    if math.isnan(stated):
        fix = "train it on such pictures first"
        raise InputError("A model must point at some of the objects to be calibrated", "no point is near one", fix)
