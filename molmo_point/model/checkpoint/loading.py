"""Strict loading of a checkpoint folder in the released layout, without remote code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import is_accelerate_available
from transformers.utils import logging as transformers_logging

from molmo_point.errors import InputError
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import load_config
from molmo_point.model.checkpoint.quantization import allow_cpu_packing

_BAR_FROM_BYTES = 500_000_000
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(
    folder: Path, device: torch.device, quantization: Any = None, dtype: str | torch.dtype | None = None
) -> MolmoForCausalLM:
    """Load the model of a checkpoint folder in eval mode; files and tensors are checked before any weight is read.

    Raises:
        CheckpointError: A file is missing or broken, or weights and configuration do not match.
        InputError: The dtype is unknown; see `checked_dtype`.
    """
    chosen = checked_dtype(dtype, device)
    config = load_config(folder)
    quantized = quantization is not None or getattr(config, "quantization_config", None) is not None
    straight = quantized or (device.type != "cpu" and is_accelerate_available())
    arguments: dict[str, Any] = {"device_map": {"": device}} if straight else {}
    if quantization is not None:
        arguments["quantization_config"] = quantization
    size = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".bin") and path.is_file())
    with bar_for_big_files(size):
        model: Any = MolmoForCausalLM.from_pretrained(folder, config=config, dtype=chosen, local_files_only=True, **arguments)
    model = model.eval()
    allow_cpu_packing(model)
    return model if straight else model.to(device)


def checked_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """Choose the precision of unquantized weights: one of three names, or the torch dtype itself.

    None takes float32 on a CPU, else bfloat16, or float16 on a device without it. Others raise InputError.
    """
    if dtype is None:
        # Most CPUs emulate bfloat16, which is a hundred times slower.
        return torch.float32 if device.type == "cpu" else _half(device)
    found = _PRECISIONS.get(dtype.removeprefix("torch.")) if isinstance(dtype, str) else dtype
    if found is None or found not in _PRECISIONS.values():
        fix = f"use {', '.join(map(repr, _PRECISIONS))} or None"
        raise InputError("dtype must be a known floating-point type", repr(dtype), fix)
    return found


def _half(device: torch.device) -> torch.dtype:
    """Choose bfloat16 if the device supports it, else float16."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    try:
        torch.ones(1, dtype=torch.bfloat16, device=device).add(1)
    except (RuntimeError, TypeError):
        return torch.float16
    return torch.bfloat16


@contextmanager
def bar_for_big_files(size_bytes: int) -> Iterator[None]:
    """Show transformers' progress bar only for files that take long to load or save."""
    hide = size_bytes < _BAR_FROM_BYTES and transformers_logging.is_progress_bar_enabled()
    if hide:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if hide:
            transformers_logging.enable_progress_bar()
