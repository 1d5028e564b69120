"""Adapters that are not those of the model: refused to the tensor, never ignored."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.backend import Limits, Prompt
from molmo_point.errors import CheckpointError
from molmo_point.model import Molmo, load_backend
from molmo_point.model.checkpoint.adapters import config_problems, write_identity
from molmo_point.model.checkpoint.report import inspect_checkpoint

from ..folders import IMAGE, edit_weights

peft = pytest.importorskip("peft")
WEIGHTS = "adapter_model.safetensors"
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def saved(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the tiny checkpoint; never changed."""
    config = peft.LoraConfig(r=2, target_modules=r".*blocks\.\d+\.(att_proj|attn_out)", task_type="CAUSAL_LM")
    torch.manual_seed(0)
    model = peft.get_peft_model(Molmo.from_pretrained(tiny_checkpoint), config)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)
    folder = tmp_path_factory.mktemp("adapters") / "adapter"
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "adapter"))


def refused(base: Path, adapter: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_backend(base, device="cpu", adapter=adapter)
    assert str(adapter) in str(caught.value)
    return str(caught.value)


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name.replace(old, new): tensor for name, tensor in tensors.items()}


def without(part: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if part not in name}


def each(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: change(tensor).contiguous() for name, tensor in tensors.items()}


def mostly_slow(inputs: Sequence[Any], fast: int = 1) -> list[Any]:
    """The first inputs of a kind; all others only in the slow suite."""
    return [*inputs[:fast], *(pytest.param(entry, marks=pytest.mark.slow) for entry in inputs[fast:])]


@pytest.mark.parametrize(
    "change",
    mostly_slow(
        [
            each(lambda tensor: tensor * float("nan")),
            renamed("base_model.model.model.", "base_model.model."),
            renamed("blocks", "layers"),
            renamed("lora_A", "lora_C"),
            without("att_proj"),
            without("blocks.1."),
            without("lora_B"),
            lambda tensors: tensors | {"base_model.model.model.more.lora_A.weight": torch.zeros(2, 2)},
            each(lambda tensor: tensor[:, :-1]),
            each(lambda tensor: tensor.round().to(torch.int32)),
            each(lambda tensor: tensor.half() * float("inf")),
            lambda tensors: {name: tensor * float("nan") if "lora_B" in name else tensor for name, tensor in tensors.items()},
        ],
        2,
    ),
)
def test_tensors_that_do_not_fit(tiny_checkpoint: Path, adapter: Path, change: Callable[[Tensors], Tensors]) -> None:
    save_file(change(load_file(adapter / WEIGHTS)), adapter / WEIGHTS)
    refused(tiny_checkpoint, adapter)
    with pytest.raises(CheckpointError):
        Molmo.from_pretrained(adapter)


@pytest.mark.parametrize(
    "changes",
    mostly_slow([
        {"r": 10**9}, {"r": 0}, {"r": True}, {"r": 4}, {"rank_pattern": {"att_proj": 10**9}}, {"lora_alpha": float("inf")},
        {"lora_alpha": "x"}, {"target_modules": r".*blocks\.\d+\.ff_proj"}, {"target_modules": ["q_proj"]},
        {"target_modules": r".*blocks\.\d+\.(att_proj|attn_out|ff_proj)"}, {"peft_type": "BOGUS"}, {"megatron_config": {}},
        {"target_modules": r"([a-z_.0-9]+)+X"}, {"rank_pattern": {"(a+)+$": 2}}, {"exclude_modules": "(a|aa)+x"},
        {"layers_pattern": ["(b+)+x"]}, {"target_modules": ["x"] * 100_000}, {"num_virtual_tokens": 10**9},
    ], 2),
    ids=str,
)  # fmt: skip
def test_settings_that_do_not_fit(tiny_checkpoint: Path, adapter: Path, changes: dict[str, Any]) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    refused(tiny_checkpoint, adapter)


def test_no_weights_and_broken_weights(tiny_checkpoint: Path, adapter: Path) -> None:
    data = (adapter / WEIGHTS).read_bytes()
    (adapter / WEIGHTS).write_bytes(data[:-8])
    assert "bytes" in refused(tiny_checkpoint, adapter)
    (adapter / WEIGHTS).unlink()
    assert WEIGHTS in refused(tiny_checkpoint, adapter)


@pytest.mark.parametrize("recorded", mostly_slow([False, True]))
def test_another_base_of_the_same_sizes(tiny_folder: Path, adapter: Path, recorded: bool) -> None:
    if recorded:
        write_identity(Molmo.from_pretrained(tiny_folder), adapter)
    edit_weights(tiny_folder, lambda tensors: tensors.update({n: t + 0.1 for n, t in tensors.items()}))
    assert "own base" in refused(tiny_folder, adapter)


@pytest.mark.parametrize("name", ["target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern"])
def test_patterns_that_search_for_ever_are_told(name: str) -> None:
    pattern = "([a-z_.0-9]+)+X"
    assert config_problems({name: {pattern: 2} if name.endswith("k_pattern") or name == "alpha_pattern" else pattern})
    assert not config_problems({"target_modules": r".*blocks\.\d+\.(att_proj|attn_out)"})


def test_the_doctor_inspects_an_adapter_and_names_its_base(tiny_checkpoint: Path, adapter: Path) -> None:
    report = inspect_checkpoint(adapter)
    assert report.complete and report.adapter_of == str(tiny_checkpoint)
    whole = load_file(adapter / WEIGHTS)
    for change in (each(lambda t: t[:, :-1]), renamed("blocks", "layers"), each(lambda t: t * float("nan"))):
        save_file(change(whole), adapter / WEIGHTS)
        assert not inspect_checkpoint(adapter).complete


def test_the_base_itself_its_copy_and_a_copy_in_bfloat16(tiny_checkpoint: Path, tiny_folder: Path, adapter: Path) -> None:
    prompt = Prompt("Point to the dog")
    plain = load_backend(tiny_checkpoint, device="cpu").complete(IMAGE, prompt, Limits(6)).text
    adapted = load_backend(tiny_checkpoint, device="cpu", adapter=adapter).complete(IMAGE, prompt, Limits(6)).text
    assert adapted != plain
    assert load_backend(tiny_folder, device="cpu", adapter=adapter).complete(IMAGE, prompt, Limits(6)).text == adapted
    edit_weights(tiny_folder, lambda tensors: tensors.update({n: t.bfloat16() for n, t in tensors.items()}))
    load_backend(tiny_folder, device="cpu", adapter=adapter)
