"""Nothing that a checkpoint brings along is ever run."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from molmo_point.backend import Limits, Prompt
from molmo_point.model import MolmoForCausalLM, load_backend

from ..folders import A_TENSOR, IMAGE, WEIGHTS, refusal


def plant_code(folder: Path) -> Path:
    """Remote code that leaves a trace when imported, asked for by every file that can ask."""
    trace = folder / "i_was_here"
    code = f"open({str(trace)!r}, 'w').close()\n"
    for name in ("modeling_molmo", "config_molmo", "preprocessing_molmo", "tokenization_molmo"):
        (folder / f"{name}.py").write_text(code)
    asks = {
        "AutoConfig": "config_molmo.MolmoConfig",
        "AutoModelForCausalLM": "modeling_molmo.MolmoForCausalLM",
        "AutoProcessor": "preprocessing_molmo.MolmoProcessor",
        "AutoTokenizer": ["tokenization_molmo.MolmoTokenizer", "tokenization_molmo.MolmoTokenizer"],
    }
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        path = folder / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | {"auto_map": asks}))
    return trace


def test_remote_code_is_neither_run_nor_asked_about(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("the user was asked whether to run code")

    before = load_backend(tiny_folder, device="cpu").complete(IMAGE, Prompt("hi"), Limits(4)).text
    trace = plant_code(tiny_folder)
    monkeypatch.setattr("builtins.input", asked)
    backend = load_backend(tiny_folder, device="cpu")
    assert type(backend.model) is MolmoForCausalLM
    assert backend.complete(IMAGE, Prompt("hi"), Limits(4)).text == before
    assert not trace.exists()
    assert not any("molmo" in name and name.startswith("transformers_modules") for name in sys.modules)
    backend.model.save_pretrained(tiny_folder / "again")
    assert "auto_map" not in json.loads((tiny_folder / "again" / "config.json").read_text())


class _Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_pickled_weights_run_nothing(tiny_folder: Path) -> None:
    trace = tiny_folder / "i_was_here"
    (tiny_folder / WEIGHTS).unlink()
    torch.save({A_TENSOR: _Bomb(trace)}, tiny_folder / "pytorch_model.bin")
    message = refusal(tiny_folder)
    assert "pytorch_model.bin" in message and "could run code" in message and "weights_only" not in message
    assert not trace.exists()
    # The trap is one: whoever unpickles freely springs it.
    torch.load(tiny_folder / "pytorch_model.bin", weights_only=False)
    assert trace.exists()


def test_a_pickle_that_is_no_archive_runs_nothing(tiny_folder: Path) -> None:
    trace = tiny_folder / "i_was_here"
    (tiny_folder / WEIGHTS).unlink()
    torch.save({A_TENSOR: _Bomb(trace)}, tiny_folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert "pytorch_model.bin" in refusal(tiny_folder)
    assert not trace.exists()
