"""Speed of decoding, compared in one process with naive decoding, a peer and the machine's floor.

Prints ratios, milliseconds, and per cent of the floor that a copy and a matrix product show in the same run. Every
answer's tokens are compared with plain greedy decoding; a difference in float32 ends with exit code 1.

python -m benchmarks.decoding --quick
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.decoding.report import Report, as_data, cells, facts_lines, markdown
from benchmarks.decoding.run import QUICK, Plan, run_bench
from benchmarks.decoding.subject import load_subject, random_subject
from benchmarks.program import check_folder
from molmo_point.backend import resolve_checkpoint
from molmo_point.cli.table import columns
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.evaluation.machine import set_threads
from molmo_point.files import write_file

EXIT_DIFFERENT = 1


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of this program."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="tabletop", help="embedded name or folder of a Molmo v1 checkpoint (default tabletop)")
    which.add_argument("--random", metavar="SHAPE", help="true size with random weights and scripted answers: molmo-7b-d")
    parser.add_argument("--layers", type=int, metavar="N", help="with --random: so many decoder layers instead of all")
    parser.add_argument("--tokenizer", metavar="FOLDER", help="with --random: folder of the tokenizer that writes the scripts")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a CPU (default: torch's own choice)")
    parser.add_argument("--rounds", type=int, metavar="N", help="timed runs of each variant (default 15)")
    parser.add_argument("--quick", action="store_true", help="few rounds, no processes of their own: seconds, not minutes")
    parser.add_argument("--scenes", type=int, default=0, metavar="N", help="also compare tokens on N simulated scenes")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON to this file as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the main figures into a PNG")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        _check(options)
        with contextlib.redirect_stdout(sys.stderr):
            subject, source = _subject(options)
            report = run_bench(subject, source, _plan(options), lambda name: print(f"measuring: {name}", flush=True))
        data = as_data(report)
        text = json.dumps(data, indent=1, ensure_ascii=False)
        if options.out:
            write_file(options.out, f"{text}\n".encode())
        if options.markdown:
            write_file(options.markdown, markdown(report).encode())
        if options.plot:
            from benchmarks.decoding.chart import draw_bench

            draw_bench(options.plot, data)
    except MolmoPointError as error:
        print(f"python -m benchmarks.decoding: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(text if options.json else "\n".join(_lines(report)))
    return EXIT_DIFFERENT if report.different and data["subject"]["precision"] == "float32" else 0


def _check(options: argparse.Namespace) -> None:
    for name in ("threads", "rounds", "layers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} must be a whole number above zero", str(value), f"e.g. --{name} 2")
    if options.scenes < 0:
        raise InputError("--scenes must be a whole number from 0", str(options.scenes), "e.g. --scenes 500")
    for name in ("layers", "tokenizer"):
        if getattr(options, name) is not None and options.random is None:
            raise InputError(f"--{name} must go with --random", str(getattr(options, name)), f"leave --{name} out")
    if options.random is not None and options.scenes:
        given = f"--scenes {options.scenes}"
        raise InputError("--scenes must go with trained weights; random ones have no answers", given, "leave --scenes out")
    for name in ("out", "markdown", "plot"):
        check_folder(f"--{name}", getattr(options, name))


def _subject(options: argparse.Namespace) -> tuple[Any, Path | None]:
    if options.threads is not None:
        set_threads(options.threads)
    if options.random is not None:
        tokenizer = resolve_checkpoint(options.tokenizer or "tabletop")
        return random_subject(options.random, Path(tokenizer), options.device, options.layers), None
    source = resolve_checkpoint(options.model)
    subject = load_subject(source, options.model, options.device)
    return subject, Path(source) if Path(source).is_dir() else None


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    plan = plan if options.rounds is None else replace(plan, rounds=options.rounds)
    return replace(plan, scenes=options.scenes)


def _lines(report: Report) -> list[str]:
    lines = []
    for section in report.sections:
        head, rows = cells(section)
        lines += [section.title, section.note, *columns(head, rows, left=(0,)), ""]
    return lines + facts_lines(report)


if __name__ == "__main__":
    sys.exit(main())
