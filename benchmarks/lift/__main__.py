"""`molmo-point eval lift`: points that are off, lifted to 3D in scenes with known truth, beside other estimators."""

import argparse
import math
from typing import Any

from molmo_point.cli.progress import counted
from molmo_point.errors import InputError

DEFAULT_SCENES = 2000


def check(options: argparse.Namespace) -> None:
    """Says before the long measurement what could not be done after it.

    Raises:
        InputError: If the picture cannot be written.
    """
    if options.plot is not None and not options.plot.resolve().parent.is_dir():
        raise InputError("A picture cannot be written there", str(options.plot), f"make the folder {options.plot.parent} first")


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Runs the benchmark; the figures and tables of them."""
    from benchmarks.lift.benchmark import FIRST_SEED, run_benchmark
    from benchmarks.lift.report import summary, tables

    first = FIRST_SEED if options.seed is None else options.seed
    figures = summary(run_benchmark(options.scenes, first, progress=lambda numbers: counted(numbers, options.scenes, "scene")))
    if options.plot is not None:
        from benchmarks.lift.plot import draw_gross_errors
        from molmo_point.viz.overlay import save_png

        save_png(options.plot, draw_gross_errors(_panels(figures)))
    return without_nan(figures), tables(figures)


def without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _panels(figures: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    estimators = figures["estimators"]
    cells = (("rod", "sigma 3 px"), ("rod, 30 % holes", "sigma 6 px"), ("occluded", "sigma 3 px"))
    panels = [
        (f"{kind}, {sigma}", {name: value["kinds"][kind][sigma]["gross"]["share"] for name, value in estimators.items()})
        for kind, sigma in cells
        if kind in next(iter(estimators.values()))["kinds"]
    ]
    return [*panels, ("all scenes", {name: value["all"]["gross"]["share"] for name, value in estimators.items()})]
