"""Command lines of the benchmark programs: shared options, progress, errors and output."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from molmo_point.cli.output import add_json, publish
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.files import check_writable
from molmo_point.sim.unkind_faults import SIMULATORS

Measure = Callable[[argparse.Namespace], tuple[dict[str, Any], str]]


def add_output(
    parser: argparse.ArgumentParser,
    *,
    scenes: int | None = None,
    seed: int | None = None,
    unit: str = "scenes",
    plot: str | None = None,
) -> None:
    """Add the options that all programs share.

    Args:
        parser: Parser of the program.
        scenes: Default of ``--scenes``; None leaves the option out.
        seed: Default of ``--seed``; None leaves the option out.
        unit: Name of the units that ``--scenes`` counts.
        plot: Content of the picture of ``--plot``; None leaves the option out.
    """
    if scenes is not None:
        parser.add_argument("--scenes", type=int, default=scenes, help=f"number of {unit} (default {scenes})")
    if seed is not None:
        parser.add_argument("--seed", type=int, default=seed, help=f"seed of the first of the {unit} (default {seed})")
    add_json(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON to this file as well")
    if plot is not None:
        parser.add_argument("--plot", type=Path, metavar="FILE", help=f"write a PNG: {plot}")


def add_simulator(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the simulated depth camera."""
    words = "depth camera: kind (few holes), unkind (faults of real stereo cameras) or time-of-flight (default kind)"
    parser.add_argument("--simulator", choices=tuple(SIMULATORS), default="kind", help=words)


def check_folder(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written, before a long measurement."""
    try:
        if path is not None:
            check_writable(path)
    except InputError as error:
        raise InputError(f"{option} must be a file in a folder that can be written", error.given, error.fix) from error


def run_program(
    module: str,
    description: str | None,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    measure: Measure,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line, measure, and print one JSON object or a table.

    Args:
        module: Name that ``python -m`` runs.
        description: Text of ``--help``.
        add_arguments: Adds the program's options.
        measure: Gives figures and their table; its output goes to stderr.
        arguments: Command line without the program's name; None takes the process's.

    Returns:
        Exit code: 0, or 1 after an error, which is one line on stderr.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description, formatter_class=form)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        if getattr(options, "scenes", 1) < 1:
            raise InputError("--scenes must be above zero", str(options.scenes), "e.g. --scenes 20")
        for option in ("out", "plot"):
            check_folder(f"--{option}", getattr(options, option, None))
        with contextlib.redirect_stdout(sys.stderr):
            figures, lines = measure(options)
        publish(options, figures, lines)
    except MolmoPointError as error:
        print(f"{parser.prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
