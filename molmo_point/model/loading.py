"""Reads a checkpoint folder in the released layout, strictly, and never runs remote code."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from molmo_point.errors import CheckpointError
from molmo_point.model.config import MolmoConfig
from molmo_point.model.molmo import MolmoForCausalLM

_BAR_FROM_BYTES = 500_000_000


def load_config(folder: Path) -> MolmoConfig:
    """Reads ``config.json``; ``auto_map`` entries in it are ignored.

    Raises:
        CheckpointError: The file is missing, broken, or of another model.
    """
    path = folder / "config.json"
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            "The checkpoint has no config.json", str(folder), "pass the folder that holds the model's files"
        ) from error
    except (ValueError, OSError) as error:
        raise CheckpointError("config.json cannot be read", f"{path}: {error}", "download the file again") from error
    if not isinstance(data, dict) or data.get("model_type") != "molmo":
        kind = data.get("model_type") if isinstance(data, dict) else type(data).__name__
        raise CheckpointError("This is not a Molmo v1 checkpoint", f"{path}: model_type {kind!r}", "use one of Molmo")
    if "hidden_size" not in data:
        raise CheckpointError(
            "This flavour of Molmo is not supported yet",
            f"{path}: no hidden_size (a mixture-of-experts configuration)",
            "use a dense checkpoint: Molmo-7B-D, Molmo-7B-O, Molmo-72B or the embedded 'tabletop'",
        )
    for key in ("auto_map", "architectures"):
        data.pop(key, None)
    try:
        return MolmoConfig(**data)
    except Exception as error:  # strict dataclasses raise their own kinds
        raise CheckpointError(
            "config.json holds values that make no Molmo", f"{path}: {error}", "download the file again"
        ) from error


def load_model(folder: Path, device: torch.device, quantization: Any = None) -> MolmoForCausalLM:
    """Loads the weights; a missing, unexpected or misshapen tensor is an error that names it.

    Args:
        folder: Checkpoint folder.
        device: Where to.
        quantization: A transformers quantisation config, or None.

    Returns:
        The model in eval mode: float32 on a CPU, bfloat16 on a GPU.
    """
    config = load_config(folder)
    # bfloat16 is emulated on most CPUs and a hundred times slower there.
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    arguments: dict[str, Any] = {"device_map": {"": device}} if quantization is not None else {}
    try:
        with _bar_for_big_files(folder):
            loaded: Any = MolmoForCausalLM.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                quantization_config=quantization,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
                local_files_only=True,
                trust_remote_code=False,
                **arguments,
            )
    except Exception as error:  # truncated shards, missing files, wrong shapes: many kinds, one meaning
        raise CheckpointError(
            "The weights cannot be loaded", f"{folder}: {error}", "download the checkpoint's files again"
        ) from error
    model, report = loaded
    wrong = {kind: sorted(map(str, report.get(kind) or ())) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    named = [f"{kind.replace('_', ' ')}: {', '.join(keys[:5])}" for kind, keys in wrong.items() if keys]
    if named:
        raise CheckpointError(
            "The weights do not fit the configuration",
            f"{folder}: {'; '.join(named)}",
            "use config.json and weights of the same checkpoint",
        )
    model = model.eval()
    return model if quantization is not None else model.to(device)


@contextmanager
def _bar_for_big_files(folder: Path) -> Iterator[None]:
    """Leaves transformers' progress bar on where loading takes long enough to want one."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    hide = size < _BAR_FROM_BYTES and transformers_logging.is_progress_bar_enabled()
    if hide:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if hide:
            transformers_logging.enable_progress_bar()
