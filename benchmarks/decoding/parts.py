"""The stages of an answer one by one, and peak memory."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding.material import Material
from benchmarks.decoding.protocol import Line, Protocol, Section, line

HD_WH = (1280, 720)
_MIB = 1 << 20


def stages(subject: Any, floor: Any, material: Material, protocol: Protocol) -> Section:
    """Vision, connector, prefill and decode passes: ours against the naive reference and the machine's floor.

    Args:
        subject: What is measured.
        floor: `benchmarks.decoding.floor.Floor` of this run.
        material: Frame and questions.
        protocol: Number of runs.
    """
    from benchmarks.decoding.stages import model_stages, preprocessing_stage

    own = f"crops of this frame, {material.image.shape[1]}x{material.image.shape[0]}"
    listed = [preprocessing_stage(material.image, subject.processor.layout, own)]
    listed += model_stages(subject, material.image, material.prompts[0])
    lines: list[Line] = []
    for stage in listed:
        runs: dict[str, Callable[[], Any]] = {"ours": stage.ours}
        if stage.naive is not None:
            runs["naive"] = stage.naive
        timed = protocol.measure(runs)
        bound = float("nan") if stage.work is None else floor.ms(*stage.work)
        facts = {"naive_ms": timed["naive"].median_ms} if "naive" in timed else {}
        lines.append(line(stage.name, timed["ours"], timed.get("naive"), bound, **facts))
    note = "Ratio: speed-up over the naive reference's stage. Floor: needed bytes or operations at this run's rates."
    return Section("stages", "Stages", note, tuple(lines))


def preprocessing(protocol: Protocol, one_core: bool) -> Section:
    """Crops of a 1280x720 frame as the released models want them, ours against the official recipe.

    Args:
        protocol: Number of runs.
        one_core: Measure in a process of its own that has a single core, as a robot's other
            programs may leave; else here, with this process's threads.
    """
    if one_core:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Thread pools are made when the libraries load, so the new process must know before it starts.
        with _single_thread(), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            timed = pool.submit(_preprocess, protocol.warmups, protocol.rounds, True).result()
    else:
        timed = _preprocess(protocol.warmups, protocol.rounds, False)
    lines = (line("official recipe", timed["official"], timed["official"]), line("ours", timed["ours"], timed["official"]))
    where = "one core, one thread" if one_core else "this process's threads"
    note = f"13 crops of 336 pixels from 1280x720, {where}. Ratio: speed-up over the official recipe."
    return Section("preprocessing", "Preprocessing a 1280x720 frame", note, lines)


def _preprocess(warmups: int, rounds: int, one_core: bool) -> dict[str, Any]:
    from benchmarks.decoding.stages import preprocessing_stage
    from molmo_point.model.inputs.preprocess import ImageLayout

    if one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    image = np.random.default_rng(0).integers(0, 256, (HD_WH[1], HD_WH[0], 3), np.uint8)
    stage = preprocessing_stage(image, ImageLayout(), "crops")
    assert stage.naive is not None
    timed = Protocol(warmups, rounds).measure({"official": _done(stage.naive), "ours": _done(stage.ours)})
    return timed


def _done(work: Callable[[], Any]) -> Callable[[], None]:
    """The work without its result, which would be held while the next one is made."""

    def run() -> None:
        work()

    return run


@contextmanager
def _single_thread() -> Iterator[None]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= dict.fromkeys(names, "1")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def memory(subject: Any, source: Path | None, material: Material, scripts: list[tuple[int, ...]]) -> Section:
    """Peak memory of one answer above the loaded model.

    Args:
        subject: What is measured.
        source: Its folder; None for random weights, which are measured on a GPU only.
        material: Frame and questions.
        scripts: What an oracle says; empty for a trained model.
    """
    from benchmarks.decoding.memory import PATHS, peak_bytes_apart, peak_bytes_on_gpu

    image, prompt = material.image, material.prompts[0]
    peaks: dict[str, int] = {}
    for path in PATHS:
        if subject.device.type == "cuda":
            peaks[path] = peak_bytes_on_gpu(subject, path, image, prompt, 200, list(scripts[0]) if scripts else None)
        elif source is not None:
            peaks[path] = peak_bytes_apart(source, path, image, prompt, 200)
    titles = {"ours": "ours", "plain": "plain generate", "naive": "naive"}
    lines = tuple(
        Line(titles[path], peaks["plain"] / max(peak, 1), facts={"peak_mib": peak / _MIB}) for path, peak in peaks.items()
    )
    how = "the allocator's count" if subject.device.type == "cuda" else "resident memory of a fresh process"
    note = f"Peak of one answer above the loaded model, {how}. Ratio: plain by this one."
    return Section("memory", "Peak memory", note, lines)
