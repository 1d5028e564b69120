"""Protocol of the measurement: interleaved rounds after warm-ups, medians, compared tokens."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Series:
    """Times of one variant, milliseconds, and what it gave last.

    Attributes:
        times_ms: One for every round.
        outcome: What the variant returned last.
    """

    times_ms: tuple[float, ...]
    outcome: Any = None

    @property
    def median_ms(self) -> float:
        """Median, milliseconds."""
        return float(np.median(self.times_ms))

    @property
    def p95_ms(self) -> float:
        """95 % quantile, milliseconds."""
        return float(np.quantile(self.times_ms, 0.95))

    @property
    def min_ms(self) -> float:
        """Fastest round, milliseconds."""
        return min(self.times_ms)


@dataclass(frozen=True)
class Protocol:
    """Number of runs.

    Attributes:
        warmups: Runs of every variant before the clock counts.
        rounds: Timed runs of every variant.
        wait: Waits for a device's queued work.
    """

    warmups: int
    rounds: int
    wait: Callable[[], None] = lambda: None

    def measure(
        self, variants: Mapping[str, Callable[[], Any]], before: Mapping[str, Callable[[], Any]] | None = None
    ) -> dict[str, Series]:
        """Run A, B, A, B, …, so that disturbances of the machine meet all variants.

        Args:
            variants: What to time, by name.
            before: What to run, untimed, before each run of a variant.
        """
        times: dict[str, list[float]] = {name: [] for name in variants}
        outcomes: dict[str, Any] = {}
        for round_ in range(-self.warmups, self.rounds):
            for name, run in variants.items():
                if before is not None and name in before:
                    before[name]()
                self.wait()
                started = time.perf_counter()
                outcomes[name] = run()
                self.wait()
                if round_ >= 0:
                    times[name].append((time.perf_counter() - started) * 1e3)
        return {name: Series(tuple(values), outcomes[name]) for name, values in times.items()}


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        name: What was measured.
        ratio: Median of the baseline by this median; above 1 it is faster; NaN without a baseline.
        median_ms: Median, milliseconds; NaN without times.
        p95_ms: 95 % quantile, milliseconds; NaN without times.
        min_ms: Fastest round, milliseconds; NaN without times.
        floor_percent: Time of the floor by the median, per cent; NaN without a floor.
        facts: Counts and other figures by name.
    """

    name: str
    ratio: float = float("nan")
    median_ms: float = float("nan")
    p95_ms: float = float("nan")
    min_ms: float = float("nan")
    floor_percent: float = float("nan")
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A table with its title; ``note`` says the ratio's baseline and what was scripted."""

    name: str
    title: str
    note: str
    lines: tuple[Line, ...]


def line(name: str, series: Series, baseline: Series | None = None, floor_ms: float = float("nan"), **facts: float) -> Line:
    """Make a line of timed runs."""
    median = series.median_ms
    ratio = float("nan") if baseline is None else baseline.median_ms / median
    return Line(name, ratio, median, series.p95_ms, series.min_ms, 100 * floor_ms / median, facts)


@dataclass
class Gate:
    """Counts answers whose tokens are not those of plain greedy decoding.

    Attributes:
        compared: Answers.
        different: Of them, those that differ.
        where: Names of the variants that differed.
    """

    compared: int = 0
    different: int = 0
    where: list[str] = field(default_factory=list)

    def check(self, name: str, tokens: Sequence[int], reference: Sequence[int]) -> None:
        """Compare one answer."""
        self.compared += 1
        if tuple(tokens) != tuple(reference):
            self.different += 1
            self.where.append(name)
