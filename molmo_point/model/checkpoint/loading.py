"""Reads a checkpoint folder in the released layout, strictly, and never runs remote code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import is_accelerate_available
from transformers.utils import logging as transformers_logging

from molmo_point.errors import CheckpointError, InputError, MolmoPointError
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import load_config
from molmo_point.model.checkpoint.quantization import allow_cpu_packing
from molmo_point.model.checkpoint.strict_loading import files_checked
from molmo_point.model.checkpoint.weight_checks import DOCTOR, check_generation, check_weights

_BAR_FROM_BYTES = 500_000_000
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(
    folder: Path, device: torch.device, quantization: Any = None, dtype: str | torch.dtype | None = None
) -> MolmoForCausalLM:
    """Loads the weights; a file or a tensor that does not fit is an error that names it, before any weight is read.

    Weights that need no conversion are mapped from the files, not copied: they are read when they are first used.

    Args:
        folder: Checkpoint folder: safetensors or ``.bin``, one file or shards.
        device: Where to.
        quantization: A transformers quantisation config, or None.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"`` or the torch dtype, for what is not quantized. None takes
            float32 on a CPU, bfloat16 on a GPU that computes in it, and float16 on others.

    Returns:
        The model in eval mode.

    Raises:
        CheckpointError: A file is missing or broken, or weights and configuration do not fit.
        InputError: There is no such dtype.
    """
    chosen = checked_dtype(dtype, device)
    config = load_config(folder)
    stored_quantized = getattr(config, "quantization_config", None) is not None
    size = check_weights(folder, MolmoForCausalLM, None if stored_quantized else config)
    check_generation(folder)
    quantized = quantization is not None or stored_quantized
    straight = quantized or (device.type != "cpu" and is_accelerate_available())
    arguments: dict[str, Any] = {"device_map": {"": device}} if straight else {}
    if quantization is not None:
        arguments["quantization_config"] = quantization
    try:
        with bar_for_big_files(size), files_checked():
            model: Any = MolmoForCausalLM.from_pretrained(folder, config=config, dtype=chosen, local_files_only=True, **arguments)
    except MolmoPointError:
        raise
    except Exception as error:  # the files were whole a moment ago: memory, or libraries
        raise CheckpointError(
            "The weights cannot be loaded", f"{folder}: {type(error).__name__}: {error}", DOCTOR.format(folder=folder)
        ) from error
    model = model.eval()
    allow_cpu_packing(model)
    return model if straight else model.to(device)


def checked_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The precision of weights that are not quantized.

    Args:
        dtype: One of three names, the torch dtype itself, or None for what suits the device.
        device: Where the model will be.

    Raises:
        InputError: There is no such dtype, or none in which a model could compute.
    """
    if dtype is None:
        # bfloat16 is emulated on most CPUs and a hundred times slower there.
        return torch.float32 if device.type == "cpu" else _half(device)
    found = _PRECISIONS.get(dtype.removeprefix("torch.")) if isinstance(dtype, str) else dtype
    if found is None or found not in _PRECISIONS.values():
        fix = f"use {', '.join(map(repr, _PRECISIONS))} or None"
        raise InputError("There is no such precision for weights", repr(dtype), fix)
    return found


def _half(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it, and float16 elsewhere."""
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
    """Leaves transformers' progress bar on where loading or saving takes long enough to want one."""
    hide = size_bytes < _BAR_FROM_BYTES and transformers_logging.is_progress_bar_enabled()
    if hide:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if hide:
            transformers_logging.enable_progress_bar()
