"""The whole benchmark, in one process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.decoding.answers import Bench
from benchmarks.decoding.material import COUNTS, QUERY_COUNTS, material
from benchmarks.decoding.parts import HD_WH, memory, preprocessing, stages
from benchmarks.decoding.pass_counts import pass_counts
from benchmarks.decoding.protocol import Gate, Protocol, Section
from benchmarks.decoding.report import Report
from molmo_point.evaluation.machine import core_count, device_name, library_versions, load_average


@dataclass(frozen=True)
class Plan:
    """Extent of the measurement.

    Attributes:
        rounds: Number of timed runs of each variant.
        warmups: Number of runs before.
        counts: Points of the scripted answers.
        queries: Numbers of questions about one frame.
        one_core: True measures preprocessing in a process with one core.
        memory: True measures peak memory, in processes of their own.
        scenes: Number of scenes of the token-by-token comparison; 0 for none.
        most_tokens: Most tokens of an answer that is not scripted.
    """

    rounds: int = 15
    warmups: int = 3
    counts: tuple[int, ...] = COUNTS
    queries: tuple[int, ...] = QUERY_COUNTS
    one_core: bool = True
    memory: bool = True
    scenes: int = 0
    most_tokens: int = 200


QUICK = Plan(rounds=2, warmups=1, counts=(1, 5), queries=(1, 2), one_core=False, memory=False, most_tokens=40)


def run_bench(subject: Any, source: Path | None, plan: Plan, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Measure a subject.

    Args:
        subject: `benchmarks.decoding.subject.Subject`.
        source: Folder of the subject; None for random weights.
        plan: Extent of the measurement.
        progress: Called with the name of the next section.
    """
    from benchmarks.decoding.floor import measure_floor, synchronizer

    load_before = load_average()
    pictured = material(None if subject.trained else HD_WH)
    gate = Gate()
    protocol = Protocol(plan.warmups, plan.rounds, synchronizer(subject.device))
    progress("floor")
    floor = measure_floor(subject.device, subject.dtype, quick=not plan.one_core)
    bench = Bench(subject, pictured, protocol, gate, plan.most_tokens)
    steps: list[tuple[str, Callable[[], Section]]] = [
        ("first point", bench.first_point),
        ("passes", lambda: pass_counts(subject.processor, plan.counts)),
        ("points", lambda: bench.points(plan.counts)),
        ("queries", lambda: bench.queries(plan.queries)),
        ("repeats", bench.repeats),
        ("preprocessing", lambda: preprocessing(protocol, plan.one_core)),
        ("stages", lambda: stages(subject, floor, pictured, protocol)),
        ("ladder", bench.ladder),
    ]
    if plan.memory and (source is not None or subject.device.type == "cuda"):
        steps.append(("memory", lambda: memory(subject, source, pictured, bench.scripts(pictured.prompts[:1]))))
    sections = []
    for name, step in steps:
        progress(name)
        sections.append(step())
    identity: dict[str, Any] = {}
    if plan.scenes and subject.trained:
        from benchmarks.decoding.identity import compare

        identity = vars(compare(subject, plan.scenes))
    rates = {"bytes_per_s": floor.bytes_per_s, "flop_per_s": floor.flop_per_s}
    machine = {**_machine(subject), "load average": f"{load_before} before, {load_average()} after"}
    about = {"model": subject.name, "precision": str(subject.dtype).removeprefix("torch."), "frame": pictured.scene}
    about["rounds"] = f"{plan.rounds} interleaved rounds after {plan.warmups} warm-ups"
    return Report(about, machine, rates, sections, gate, identity)


def _machine(subject: Any) -> dict[str, Any]:
    return {"device": device_name(subject.device), "cores": core_count(), "libraries": library_versions()}
