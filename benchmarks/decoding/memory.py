"""Peak memory of an answer, in a process of its own on a CPU, from torch's own count on a GPU."""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.decoding.naive import NaiveMolmo
from benchmarks.decoding.oracle import OracleEngine
from benchmarks.decoding.paths import NO_MEMORY, engine_answers, generate_answer, naive_answer
from benchmarks.decoding.subject import Subject, load_subject
from molmo_point.backend import Prompt
from molmo_point.evaluation.machine import peak_memory_bytes

PATHS = ("ours", "plain", "naive")


def peak_bytes_apart(source: Path, path: str, image: np.ndarray, prompt: Prompt, count: int) -> int:
    """Peak memory above what the loaded model takes, of one answer in a fresh process on the CPU.

    Args:
        source: The checkpoint's folder.
        path: One of `PATHS`.
        image: (h, w, 3) uint8 RGB.
        prompt: What the user says.
        count: Most tokens.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, source, path, image, prompt, count).result()


def peak_bytes_on_gpu(
    subject: Subject, path: str, image: np.ndarray, prompt: Prompt, count: int, script: list[int] | None
) -> int:
    """The same on a GPU, from the allocator's count."""
    before = torch.cuda.memory_allocated(subject.device)
    torch.cuda.reset_peak_memory_stats(subject.device)
    _answer(subject, path, image, prompt, count, script)
    torch.cuda.synchronize(subject.device)
    return int(torch.cuda.max_memory_allocated(subject.device) - before)


def _peak_here(source: Path, path: str, image: np.ndarray, prompt: Prompt, count: int) -> int:
    subject = load_subject(source, str(source), "cpu")
    # Weights are mapped from the files and read at first use: read them before the count begins.
    sum(float(parameter.detach().sum()) for parameter in subject.model.parameters())
    before = _reset_peak()
    _answer(subject, path, image, prompt, count, None)
    return peak_memory_bytes() - before


def _answer(subject: Subject, path: str, image: np.ndarray, prompt: Prompt, count: int, script: list[int] | None) -> None:
    if path == "naive":
        naive_answer(subject, NaiveMolmo(subject.model), image, prompt, count, script)
    elif path == "plain":
        generate_answer(subject, image, prompt, count, script)
    else:
        engine = OracleEngine(subject.model, subject.processor, NO_MEMORY)
        engine_answers(engine, image, [prompt], count, [script] if script else [])


def _reset_peak() -> int:
    """Reset the peak of resident memory if the system lets it; return the bytes in use."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return peak_memory_bytes()
    return peak_memory_bytes()
