"""`molmo-point bench`: how fast answers come, against other ways and the machine's limits."""

import argparse
import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from molmo_point.cli.table import columns
from molmo_point.errors import InputError

EXIT_DIFFERENT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `bench`."""
    parser.description = (
        "Measures in one process, interleaved: ratios first, then milliseconds, then per cent of the floor that a copy and a "
        "matrix product show in the same run. Every answer's tokens are compared with plain greedy decoding; "
        "a difference in float32 ends with exit code 1."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", default="tabletop", help="embedded name or folder of a Molmo v1 checkpoint (default tabletop)")
    which.add_argument("--random", metavar="SHAPE", help="true size with random weights and scripted answers: molmo-7b-d")
    parser.add_argument("--layers", type=int, metavar="N", help="with --random: so many decoder layers instead of all")
    parser.add_argument("--tokenizer", metavar="FOLDER", help="with --random: whose tokenizer writes the scripts")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the best there is)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a CPU (default: torch's own choice)")
    parser.add_argument("--rounds", type=int, metavar="N", help="timed runs of each variant (default 15)")
    parser.add_argument("--quick", action="store_true", help="few rounds, no processes of their own: seconds, not minutes")
    parser.add_argument("--scenes", type=int, default=0, metavar="N", help="also compare tokens on N simulated scenes")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON to this file as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the main figures into a PNG")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the benchmark."""
    from benchmarks.decoding.report import as_data, markdown
    from benchmarks.decoding.run import run_bench

    _check(options)
    with contextlib.redirect_stdout(sys.stderr):
        subject, source = _subject(options)
        report = run_bench(subject, source, _plan(options), lambda name: print(f"measuring: {name}", flush=True))
    data = as_data(report)
    text = json.dumps(data, indent=1, ensure_ascii=False)
    if options.out:
        _write(options.out, text + "\n")
    if options.markdown:
        _write(options.markdown, markdown(report))
    if options.plot:
        _plot(options.plot, data)
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
            raise InputError(f"--{name} goes with --random only", str(getattr(options, name)), f"leave --{name} out")
    if options.random is not None and options.scenes:
        raise InputError("Random weights have no answers to compare", f"--scenes {options.scenes}", "leave --scenes out")
    for path in (options.out, options.markdown, options.plot):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError("The file cannot be written", str(path), "name a file in a folder that exists")


def _subject(options: argparse.Namespace) -> tuple[Any, Path | None]:
    from benchmarks.decoding.machine import set_threads
    from benchmarks.decoding.subject import load_subject, random_subject
    from molmo_point.backend import resolve_checkpoint

    if options.threads is not None:
        set_threads(options.threads)
    if options.random is not None:
        tokenizer = resolve_checkpoint(options.tokenizer or "tabletop")
        return random_subject(options.random, Path(tokenizer), options.device, options.layers), None
    source = resolve_checkpoint(options.model)
    subject = load_subject(source, options.model, options.device)
    return subject, Path(source) if Path(source).is_dir() else None


def _plan(options: argparse.Namespace) -> Any:
    from benchmarks.decoding.run import QUICK, Plan

    plan = QUICK if options.quick else Plan()
    plan = plan if options.rounds is None else replace(plan, rounds=options.rounds)
    return replace(plan, scenes=options.scenes)


def _lines(report: Any) -> list[str]:
    from benchmarks.decoding.report import cells, facts_lines

    lines = []
    for section in report.sections:
        head, rows = cells(section)
        lines += [section.title, section.note, *columns(head, rows, left=(0,)), ""]
    return lines + facts_lines(report)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError("The file cannot be written", f"{path}: {error}", "name a file in a folder that exists") from error


def _plot(path: Path, data: dict[str, Any]) -> None:
    from benchmarks.decoding.chart import draw_bench

    try:
        draw_bench(data).save(path)
    except (OSError, ValueError) as error:
        raise InputError("The picture cannot be written", f"{path}: {error}", "name a .png file that can be written") from error
