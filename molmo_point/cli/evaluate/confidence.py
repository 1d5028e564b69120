"""`molmo-point eval calibration`: do the model's probabilities come true, and what makes them?"""

import argparse
import json
from pathlib import Path
from typing import Any

from molmo_point.backend import resolve_checkpoint
from molmo_point.errors import InputError

_HOUSEHOLD_FITTING_SEED = 941
"""Of the household scenes to fit on; scenes of another seed share nothing with them."""


def check(options: argparse.Namespace, first_test_seed: int) -> None:
    """Says before the long measurement what could not be done after it.

    Raises:
        InputError: Test scenes would be among those that are fitted on, or a file cannot be written.
    """
    from molmo_point.evaluation.confidence_calibration import VALIDATION_SEED

    if options.household:
        if options.seed == _HOUSEHOLD_FITTING_SEED:
            raise InputError("These scenes are those that are fitted on", f"--seed {options.seed}", "leave --seed out")
    elif abs(first_test_seed - VALIDATION_SEED) < options.scenes:
        given = f"--seed {first_test_seed} --scenes {options.scenes}, fitted on scenes from {VALIDATION_SEED}"
        raise InputError("Test scenes would be among those that are fitted on", given, "leave --seed out")
    if options.plot is not None and not options.plot.resolve().parent.is_dir():
        raise InputError("A picture cannot be written there", str(options.plot), f"make the folder {options.plot.parent} first")
    if options.write and not isinstance(resolve_checkpoint(options.model), Path):
        fix = "download the checkpoint and pass its folder"
        raise InputError("The calibration can be stored beside local weights only", repr(options.model), fix)


def measure(pointer: Any, options: argparse.Namespace, first_test_seed: int) -> tuple[dict[str, Any], str]:
    """Fits on validation scenes, measures on test scenes; the figures and a table of them."""
    from molmo_point.evaluation import confidence_calibration as fitting
    from molmo_point.evaluation.tabletop import Tally, sigma_px

    if options.household:
        observe, fit_seed, test_seed = _observe_household, _HOUSEHOLD_FITTING_SEED, options.seed
    else:
        observe, fit_seed, test_seed = _observe_plain, fitting.VALIDATION_SEED, first_test_seed
    fitted_on, validation = observe(pointer, options.scenes, fit_seed)
    calibration = fitting.fit_calibration(validation)
    measured_on, test = observe(pointer, options.scenes, test_seed)
    measured = fitting.measure_calibration(test, calibration)
    settings = {**calibration.to_settings(), "fitted_on": fitted_on, "measured_on": measured_on, "measured": measured}
    if options.plot is not None:
        from molmo_point.viz.overlay import save_png
        from molmo_point.viz.reliability_diagram import draw_reliability

        panels = []
        for title, claims, line in (
            ("the point is on the thing", fitting.confidence_claims(test), calibration.confidence),
            ("nothing in the image fits", fitting.absence_claims(test), calibration.absent),
        ):
            panels.append((title, fitting.reliability(claims), fitting.reliability(claims.mapped(line))))
        save_png(options.plot, draw_reliability(panels))
    if options.write:
        store(Path(resolve_checkpoint(options.model)), settings, sigma_px(Tally(offset_px=validation.offset_px)))
    return settings, fitting.table(measured)


def _observe_plain(pointer: Any, scenes: int, seed: int) -> tuple[dict[str, Any], Any]:
    from molmo_point.evaluation.observations import observe

    seen = observe(pointer, scenes, seed, hasattr(pointer.backend, "spreads"))
    return {"scenes_of": "tabletop", "first_seed": seed, "scenes": scenes, "points": len(seen.hit)}, seen


def _observe_household(pointer: Any, scenes: int, seed: int | None) -> tuple[dict[str, Any], Any]:
    from tqdm import tqdm

    from lab.evaluation.fresh_scenes import FIRST_SEED, fresh_questions
    from molmo_point.evaluation.observations import observe_questions

    seed = FIRST_SEED if seed is None else seed
    questions = tqdm(fresh_questions(scenes, seed), desc=f"questions, seed {seed}", unit="question")
    seen = observe_questions(pointer, questions, hasattr(pointer.backend, "spreads"))
    return {"scenes_of": "household", "seed": seed, "scenes": scenes, "points": len(seen.hit)}, seen


def store(folder: Path, settings: dict[str, Any], sigma_px: float) -> None:
    """Writes the calibration into ``pointing.json``; what is there already stays.

    Args:
        folder: Of the checkpoint.
        settings: The calibration and its figures.
        sigma_px: Error of the points, for a checkpoint that has none stated.

    Raises:
        InputError: The file cannot be read or written.
    """
    path = folder / "pointing.json"
    try:
        held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        held = {"sigma_px_at_640": round(sigma_px, 2)} | held | {"calibration": settings}
        path.write_text(json.dumps(held, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except (OSError, ValueError, TypeError) as error:
        raise InputError("The calibration cannot be stored", f"{path}: {error}", "repair or delete the file") from error
