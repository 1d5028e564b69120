"""Tiny checkpoint folders in other forms, and what loading a broken one says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import CheckpointError
from molmo_point.model import load_backend
from molmo_point.model.checkpoint.loading import load_model

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
A_TENSOR = "model.transformer.blocks.1.ff_proj.weight"
IMAGE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Changes the tensors of the one weight file."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def edit_config(folder: Path, **changes: Any) -> None:
    """Replaces fields of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path) -> str:
    """The message of the error that loading the folder must end in."""
    with pytest.raises(CheckpointError) as caught:
        load_backend(folder, device="cpu")
    assert str(folder) in str(caught.value)
    assert caught.value.fix
    return str(caught.value)


def sharded(folder: Path) -> list[Path]:
    """The same checkpoint in several safetensors files."""
    model = load_model(folder, torch.device("cpu"))
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="60KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    return shards


def as_bin(folder: Path) -> Path:
    """The same checkpoint in one ``.bin``."""
    path = folder / "pytorch_model.bin"
    torch.save(load_file(folder / WEIGHTS), path)
    (folder / WEIGHTS).unlink()
    return path


def edit_index(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes where the index says that tensors are."""
    path = folder / INDEX
    data = json.loads(path.read_text())
    change(data["weight_map"])
    path.write_text(json.dumps(data))
