"""Speed of a checkpoint on this machine: first point, whole answer, tokens, memory."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.arrays import ColorArray
from molmo_point.backend import Limits
from molmo_point.errors import DependencyError
from molmo_point.evaluation.machine import core_count, device_name, library_versions, load_average, peak_memory_bytes
from molmo_point.evaluation.tabletop import FIRST_SEED
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.points.dialects import dialect_of
from molmo_point.request import PointRequest
from molmo_point.results import Completion

_MOST_TOKENS = 200
_STEP_PX = 97
"""Shift between two images. An answer must not repeat the last one, whose tokens would be drafted for nothing."""


@dataclass(frozen=True)
class TimeSeries:
    """Median and 95 % quantile of times, milliseconds."""

    median_ms: float
    p95_ms: float


def _series(times_ms: list[float]) -> TimeSeries:
    return TimeSeries(float(np.median(times_ms)), float(np.quantile(times_ms, 0.95)))


@dataclass(frozen=True)
class SpeedReport:
    """Speed of a checkpoint.

    Attributes:
        model: Name of the model.
        device: Processor or GPU in words.
        load_s: Time to load the checkpoint, seconds.
        first_point: Time from a new frame to its first point.
        answer: Time from a new frame to a whole answer.
        token_ms: Time per token of the decoding, milliseconds; NaN if the backend does not tell.
        tokens: Median number of tokens of an answer.
        peak_mib: Largest memory so far, MiB: of the process on a CPU, of the allocator on a GPU.
        machine: Further facts: cores, libraries, load.
    """

    model: str
    device: str
    load_s: float
    first_point: TimeSeries
    answer: TimeSeries
    token_ms: float
    tokens: float
    peak_mib: float
    machine: dict[str, Any]


def sample_question() -> tuple[ColorArray, str]:
    """Image (h, w, 3) uint8 RGB and words to point at: a simulated table, or a drawn pattern without the simulator."""
    try:
        from molmo_point.sim.tabletop.scene import TabletopScene

        with TabletopScene.random(FIRST_SEED) as scene:
            return scene.render_color(), scene.objects[0].name
    except DependencyError:
        rows, columns = np.mgrid[:480, :640]
        return np.stack([rows % 256, columns % 256, (rows * columns // 64) % 256], -1).astype(np.uint8), "red cube"


def measure_speed(
    load: Callable[[], Pointer], rounds: int, warmups: int, progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> SpeedReport:
    """Load a checkpoint and time its answers to one question about images that differ.

    `progress` wraps the numbers of all rounds, those of the warm-up first, e.g. with a progress bar.
    """
    start = time.perf_counter()
    pointer = load()
    load_s = time.perf_counter() - start
    image, words = sample_question()
    first_ms, answer_ms, token_ms, tokens = [], [], [], []
    for number in progress(range(warmups + rounds)):
        frames = [RgbdFrame.of(np.roll(image, _STEP_PX * (3 * number + shift), axis=1)) for shift in range(3)]
        first = _timed_ms(lambda frame=frames[0]: pointer.point(frame, words, max_points=1, labels=False))
        whole = _timed_ms(lambda frame=frames[1]: pointer.point(frame, words))
        completion = _completion(pointer, frames[2], words)
        if number >= warmups:
            first_ms.append(first)
            answer_ms.append(whole)
            tokens.append(completion.token_count)
            token_ms.append(completion.timing_ms.get("decode", math.nan) / max(completion.token_count, 1))
    device, peak = _device_and_peak()
    machine = {"cores": core_count(), "libraries": library_versions(), "load_average": load_average(), "rounds": rounds}
    return SpeedReport(
        model=pointer.backend.name,
        device=device,
        load_s=load_s,
        first_point=_series(first_ms),
        answer=_series(answer_ms),
        token_ms=float(np.median(token_ms)),
        tokens=float(np.median(tokens)),
        peak_mib=peak / (1 << 20),
        machine=machine,
    )


def _completion(pointer: Pointer, frame: RgbdFrame, words: str) -> Completion:
    prompt = dialect_of(pointer.backend.dialect).prompt(PointRequest(words))
    *_, last = pointer.backend.answers(frame.color, [prompt], Limits(_MOST_TOKENS))
    return last.completion


def _timed_ms(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1e3


def _device_and_peak() -> tuple[str, int]:
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return device_name(torch.device("cuda")), int(torch.cuda.max_memory_allocated())
    return device_name(torch.device("cpu")), peak_memory_bytes()
