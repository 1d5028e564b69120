"""The `molmo-point bench` command: speed of a checkpoint on this machine."""

import argparse
import contextlib
import sys
from pathlib import Path

from molmo_point.cli.output import add_json, publish
from molmo_point.cli.overwriting import Output, OutputFormat, add_force, check_outputs
from molmo_point.cli.progress import counted
from molmo_point.cli.table import columns
from molmo_point.text_checks import checked_count

_ROUNDS, _QUICK_ROUNDS, _WARMUPS = 15, 3, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `bench`."""
    parser.description = (
        "Measures a checkpoint on this machine: time from a new image to the first point and to the whole answer, time per "
        "token, memory. In a checkout of the repository, python -m benchmarks.decoding compares it with other ways to decode."
    )
    parser.add_argument("--model", default="tabletop", help="embedded name or folder of a checkpoint (default tabletop)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a CPU (default: torch's own choice)")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"timed rounds (default {_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds: seconds, not a minute")
    add_json(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON to this file as well")
    add_force(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the measurement."""
    from molmo_point.evaluation.speed import measure_speed
    from molmo_point.pointer import Pointer

    for name in ("threads", "rounds"):
        if getattr(options, name) is not None:
            checked_count(f"--{name}", getattr(options, name), 2)
    check_outputs(options, Output("--out", options.out, OutputFormat.JSON))
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    if options.threads is not None:
        from molmo_point.evaluation.machine import set_threads

        set_threads(options.threads)
    with contextlib.redirect_stdout(sys.stderr):
        report = measure_speed(
            lambda: Pointer.from_pretrained(options.model, device=options.device),
            rounds,
            _WARMUPS,
            lambda numbers: counted(numbers, rounds + _WARMUPS, "round"),
        )
    rows = [
        ["first point", f"{report.first_point.median_ms:.1f} ms", f"{report.first_point.p95_ms:.1f} ms"],
        ["whole answer", f"{report.answer.median_ms:.1f} ms", f"{report.answer.p95_ms:.1f} ms"],
        ["token", f"{report.token_ms:.2f} ms", ""],
        ["tokens of an answer", f"{report.tokens:.0f}", ""],
        ["peak memory", f"{report.peak_mib:.0f} MiB", ""],
        ["loading", f"{report.load_s:.1f} s", ""],
    ]
    about = [f"model   {report.model}", f"device  {report.device}"]
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report.machine.items())
    lines = [*about, "", *columns(["", "median", "95 %"], rows, left=(0,)), "", facts]
    publish(options, vars(report), "\n".join(lines))
    return 0
