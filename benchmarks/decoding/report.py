"""A benchmark's figures as data, as text for a terminal, and as Markdown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.decoding.protocol import Gate, Line, Section
from molmo_point.plain_json import plain_json

_FACTS = {
    "passes": ("passes", 0),
    "passes_per_point": ("passes a point", 2),
    "first_point": ("to first point", 0),
    "ms_per_point": ("ms a point", 1),
    "tokens": ("tokens", 0),
    "naive_ms": ("naive ms", 2),
    "times_one_question": ("× one question", 2),
    "times_the_line_above": ("× the line above", 2),
    "image_reused": ("image reused", 0),
    "peak_mib": ("peak MiB", 1),
}


@dataclass(frozen=True)
class Report:
    """All figures of a run.

    Attributes:
        subject: Model, device, precision, threads and frame, by name.
        machine: What else a reader must know: processor, versions, load.
        floor: Rates of the machine in this run.
        sections: The tables.
        gate: Answers that were compared with plain greedy decoding.
        identity: Figures of the scene-by-scene comparison; empty when none was made.
    """

    subject: Mapping[str, Any]
    machine: Mapping[str, Any]
    floor: Mapping[str, float]
    sections: Sequence[Section]
    gate: Gate
    identity: Mapping[str, Any]

    @property
    def different(self) -> int:
        """Answers whose tokens differ from plain greedy decoding."""
        return self.gate.different + int(self.identity.get("different", 0))


def as_data(report: Report) -> dict[str, Any]:
    """The report as JSON has it; what is missing is null."""
    return {
        "subject": dict(report.subject),
        "machine": dict(report.machine),
        "floor": dict(report.floor),
        "equality": {
            "compared": report.gate.compared,
            "different": report.gate.different,
            "where": list(report.gate.where),
        },
        "identity": dict(report.identity),
        "sections": [
            {"name": s.name, "title": s.title, "note": s.note, "lines": [_line_data(line) for line in s.lines]}
            for s in report.sections
        ],
    }


def _line_data(line: Line) -> dict[str, Any]:
    figures = {name: getattr(line, name) for name in ("ratio", "median_ms", "p95_ms", "min_ms", "floor_percent")}
    return plain_json({"name": line.name, **figures, **line.facts})


def cells(section: Section) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a section's table: the ratio first, then milliseconds, then the share of the floor."""
    facts = [name for name in _FACTS if any(name in line.facts for line in section.lines)]
    timed = any(math.isfinite(line.median_ms) for line in section.lines)
    floored = any(math.isfinite(line.floor_percent) for line in section.lines)
    head = ["", "ratio", *(["ms", "p95", "min"] if timed else []), *(["% of floor"] if floored else [])]
    rows = []
    for line in section.lines:
        row = [line.name, "∞" if line.ratio == math.inf else _number(line.ratio, 2)]
        row += [_number(value, 1) for value in (line.median_ms, line.p95_ms, line.min_ms)] if timed else []
        row += [_number(line.floor_percent, 1)] if floored else []
        rows.append(row + [_number(line.facts.get(name, math.nan), _FACTS[name][1]) for name in facts])
    return [*head, *(_FACTS[name][0] for name in facts)], rows


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def facts_lines(report: Report) -> list[str]:
    """List the subject, the machine and the compared tokens in words."""
    lines = [f"{name}: {value}" for name, value in {**report.subject, **report.machine}.items()]
    rates = report.floor
    lines.append(
        f"floor in this run: copy {rates['bytes_per_s'] / 1e9:.1f} GB/s, product {rates['flop_per_s'] / 1e9:.0f} GFLOP/s"
    )
    lines.append(f"tokens compared with plain greedy: {report.gate.compared} answers, {report.gate.different} differ")
    if report.gate.where:
        lines.append(f"they differ in: {'; '.join(report.gate.where)}")
    if report.identity:
        words = "{scenes} scenes: {answers} answers with {points} points, {different} differ from plain greedy; "
        words += "{passes} passes for {plain_passes} plain ones"
        lines.append(words.format(**report.identity))
    return lines


def markdown(report: Report) -> str:
    """The whole report as Markdown tables."""
    parts = ["# Tables of `python -m benchmarks.decoding`", "\n".join(f"- {line}" for line in facts_lines(report))]
    for section in report.sections:
        head, rows = cells(section)
        table = [f"| {' | '.join(row)} |" for row in (head, ["---", *["---:"] * (len(head) - 1)], *rows)]
        parts.append("\n".join([f"## {section.title}", "", section.note, "", *table]))
    return "\n\n".join(parts) + "\n"
