"""Checkpoints saved in 8 or 4 bits: they answer as before, or are refused when they are loaded."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.backend import Limits, Prompt
from molmo_point.errors import CheckpointError
from molmo_point.model import load_backend

from ..folders import IMAGE

pytest.importorskip("bitsandbytes")
PROMPT, LIMITS = Prompt("Point to the dog"), Limits(8)


def saved(base: Path, folder: Path, kind: str) -> str:
    """Saves the checkpoint in 8 or 4 bits, and returns its answer."""
    backend = load_backend(base, device="cpu", quantization=kind)
    shutil.copytree(base, folder)
    (folder / "model.safetensors").unlink()
    backend.model.save_pretrained(folder)
    return backend.complete(IMAGE, PROMPT, LIMITS).text


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_they_answer_as_before(tiny_checkpoint: Path, tmp_path: Path, kind: str) -> None:
    told = saved(tiny_checkpoint, tmp_path / kind, kind)
    assert load_backend(tmp_path / kind, device="cpu").complete(IMAGE, PROMPT, LIMITS).text == told
    for dtype in ("bfloat16", "float16"):
        backend = load_backend(tmp_path / kind, device="cpu", dtype=dtype)
        # bitsandbytes converts biases in the first pass.
        assert {p.dtype for p in backend.model.parameters() if p.is_floating_point()} == {getattr(torch, dtype)}
        assert backend.complete(IMAGE, PROMPT, LIMITS).token_count >= 0


@pytest.mark.parametrize(
    ("kind", "part", "change"),
    [
        ("int8", ".SCB", lambda tensor: tensor * float("nan")),
        ("int8", ".SCB", lambda tensor: tensor[:-1]),
        ("nf4", ".absmax", lambda tensor: tensor * float("inf")),
        ("nf4", ".absmax", lambda tensor: tensor[:-1]),
        ("nf4", ".quant_map", lambda tensor: tensor * float("nan")),
    ],
)
def test_scales_that_are_not_finite_or_too_few(tiny_checkpoint: Path, tmp_path: Path, kind: str, part: str, change) -> None:
    folder = tmp_path / kind
    saved(tiny_checkpoint, folder, kind)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith(part))
    tensors[name] = change(tensors[name]).contiguous()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError):
        load_backend(folder, device="cpu")


@pytest.mark.parametrize("kind", ["load_in_4bit", "load_in_8bit"])
def test_a_config_that_calls_plain_weights_quantized(tiny_folder: Path, kind: str) -> None:
    path = tiny_folder / "config.json"
    method = {"quant_method": "bitsandbytes", kind: True}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": method}))
    with pytest.raises(CheckpointError):
        load_backend(tiny_folder, device="cpu")
