"""Checkpoints whose files are whole and whose numbers are not: refused when they are loaded, and found by the doctor before."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from molmo_point.backend import Limits, Prompt
from molmo_point.errors import CheckpointError
from molmo_point.model import Molmo, load_backend
from molmo_point.model.checkpoint.report import inspect_checkpoint
from molmo_point.model.checkpoint.tokenizer_bounds import may_search_for_ever

from ..folders import A_TENSOR, IMAGE, as_bin, edit_weights, refusal, sharded

NAN, INF = float("nan"), float("inf")


def mostly_slow(inputs: Sequence[Any], fast: int = 1) -> list[Any]:
    """The first inputs of a kind; all others only in the slow suite."""
    return [*inputs[:fast], *(pytest.param(entry, marks=pytest.mark.slow) for entry in inputs[fast:])]


def spoil(folder: Path, value: float, dtype: torch.dtype | None = None) -> None:
    """Writes one bad number into one tensor."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in tensors.items():
            tensors[name] = tensor if dtype is None else tensor.to(dtype)
        tensors[A_TENSOR].view(-1)[7] = value

    edit_weights(folder, change)


def edit(folder: Path, name: str, changes: dict[str, Any]) -> None:
    path = folder / f"{name}.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(held | changes))


def told_by_both(folder: Path) -> str:
    """Return the words of the refusal by loading, of a folder in which the doctor finds something, too."""
    assert inspect_checkpoint(folder).problems
    return refusal(folder)


@pytest.mark.parametrize("value", mostly_slow([NAN, INF, -INF]))
@pytest.mark.parametrize("dtype", mostly_slow([torch.float32, torch.float16, torch.bfloat16]))
def test_one_number_that_is_not_finite(tiny_folder: Path, value: float, dtype: torch.dtype) -> None:
    spoil(tiny_folder, value, dtype)
    assert A_TENSOR in told_by_both(tiny_folder)
    assert [p.tensors for p in inspect_checkpoint(tiny_folder).problems] == [(A_TENSOR,)]


def test_not_finite_in_a_shard_and_in_a_bin(tiny_folder: Path) -> None:
    spoil(tiny_folder, NAN)
    as_bin(tiny_folder)
    assert A_TENSOR in told_by_both(tiny_folder)


def test_not_finite_in_one_of_several_files(tiny_folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    shard = sharded(tiny_folder)[1]
    tensors = load_file(shard)
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = NAN
    save_file(tensors, shard, {"format": "pt"})
    told = told_by_both(tiny_folder)
    assert name in told


def test_generate_of_transformers_refuses_logits_that_are_not_finite(tiny_folder: Path) -> None:
    edit_weights(tiny_folder, lambda tensors: tensors.update({A_TENSOR: tensors[A_TENSOR] * 1e37}))
    model = Molmo.from_pretrained(tiny_folder)
    with pytest.raises(CheckpointError, match="finite"):
        model.generate(input_ids=torch.tensor([[5, 6]]), max_new_tokens=3, do_sample=False)


def test_metadata_that_are_no_texts_and_tensors_larger_than_their_bytes(tiny_folder: Path) -> None:
    file = tiny_folder / "model.safetensors"
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]) | {"__metadata__": {"format": 5}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
    assert "metadata" in told_by_both(tiny_folder)
    file.unlink()
    torch.save({A_TENSOR: torch.zeros(1).expand(10**12)}, tiny_folder / "pytorch_model.bin")
    assert "plain tensor" in told_by_both(tiny_folder)


def test_an_attention_that_nobody_knows(tiny_folder: Path) -> None:
    edit(tiny_folder, "config", {"attn_implementation": "bogus"})
    assert "config.json" in told_by_both(tiny_folder)


@pytest.mark.parametrize(
    "changes",
    mostly_slow(
        [
            {"model": {"type": "BPE", "dropout": 0.5, "vocab": {}, "merges": []}},
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
            {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}},
        ],
        2,
    ),
)
def test_tokenizers_that_are_random_or_panic(tiny_folder: Path, changes: dict[str, Any]) -> None:
    edit(tiny_folder, "tokenizer", changes)
    assert "tokenizer" in told_by_both(tiny_folder)


def test_thousands_of_special_tokens(tiny_folder: Path) -> None:
    edit(tiny_folder, "special_tokens_map", {"additional_special_tokens": [f"<{i}>" for i in range(20_000)]})
    assert "20000" in refusal(tiny_folder)


@pytest.mark.parametrize(
    "regex",
    [
        r"(a+)+$",
        r"(?:a|aa)+$",
        r"(?:\w\w?)+\d",
        r"(?<x>a\g<x>?a?)b",
        r"\w+\w+\w+\w+\d",
        ".*.*.*=",
        r"(?:\w?){40}\d",
        r"\w?" * 30,
        r"\w{1,8}" * 10,
    ],
)
def test_expressions_that_search_for_ever(regex: str) -> None:
    assert may_search_for_ever(regex)


@pytest.mark.parametrize(
    "regex",
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}]*[\p{Ll}\p{Lm}]+(?i:'s|'t|'re)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+(?!\S)|\s+",
    ],
)
def test_expressions_of_released_tokenizers(regex: str) -> None:
    assert not may_search_for_ever(regex)


def test_finite_numbers_that_overflow_are_found_in_the_answer(tiny_folder: Path) -> None:
    edit_weights(tiny_folder, lambda tensors: tensors.update({A_TENSOR: tensors[A_TENSOR] * 1e37}))
    backend = load_backend(tiny_folder, device="cpu")
    with pytest.raises(CheckpointError, match="finite") as caught:
        backend.complete(IMAGE, Prompt("Point to the dog"), Limits(8))
    assert "doctor" in caught.value.fix


CONFIG = (
    *({"hidden_size": value} for value in (10**12, True, 32.0, -1, "32", 0)),
    *({"rope_theta": value} for value in (0, -1, True, 1e300, "x")),
    *({"layer_norm_eps": value} for value in (-1e-6, 1.0, "x")),
    *({"num_attention_heads": value} for value in (0, 3, 10**9, 4.0)),
    {"num_hidden_layers": 10**9}, {"num_key_value_heads": 3}, {"max_position_embeddings": 10}, {"vocab_size": 10**9},
    {"additional_vocab_size": -1}, {"num_experts": 10**6}, {"num_experts": 1024, "num_hidden_layers": 900}, {"num_labels": 10**9},
    {"qkv_bias": 1}, {"use_cache": "yes"}, {"eos_token_id": -1}, {"eos_token_id": [256, 1.5]}, {"initializer_range": 1e400},
    {"vision_config": {"image_size": 10**6}}, {"quantization_config": {"quant_method": "bogus"}},
)  # fmt: skip


@pytest.mark.parametrize("changes", mostly_slow(CONFIG, 2), ids=str)
def test_config_out_of_bounds(tiny_folder: Path, changes: dict[str, Any]) -> None:
    edit(tiny_folder, "config", changes)
    refusal(tiny_folder)


IMAGES = (
    *({"max_crops": value} for value in (10**6, True, 2.0, -1, None, "2")),
    *({"base_image_input_size": value} for value in ([56], [56, 70], [10**9] * 2, "56", [0, 0])),
    *({"overlap_margins": value} for value in ([3, 3], [2, 2], [-2, -2], [0])),
    *({"image_std": value} for value in ([0, 0, 0], [1, 1], [True] * 3, ["a"] * 3, [1e-300] * 3)),
    *({"image_mean": value} for value in ([NAN] * 3, [10**400] * 3, [1e9] * 3, None)),
    {"image_patch_size": 0}, {"image_patch_size": 7}, {"do_normalize": False},
)  # fmt: skip


@pytest.mark.parametrize("changes", mostly_slow(IMAGES, 2), ids=str)
def test_image_settings_out_of_bounds(tiny_folder: Path, changes: dict[str, Any]) -> None:
    edit(tiny_folder, "preprocessor_config", changes)
    told_by_both(tiny_folder)


def replaced(text: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": text}, "content": content}


NORMALIZERS = (
    replaced("e", "e" * 100_000),
    {"type": "Sequence", "normalizers": [replaced("e", "eeee")] * 12},
    {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"},
    replaced("", "x"),
    {"type": "Prepend", "prepend": "x" * 100_000},
    {"type": "Lowercase"},
    replaced("1", ""),
    replaced('"', "'"),
)


@pytest.mark.parametrize("normalizer", mostly_slow(NORMALIZERS, 2), ids=lambda step: str(step)[:60])
def test_normalizers_that_change_or_blow_up_the_text(tiny_folder: Path, normalizer: dict[str, Any]) -> None:
    edit(tiny_folder, "tokenizer", {"normalizer": normalizer})
    assert "tokenizer" in told_by_both(tiny_folder)


@pytest.mark.parametrize(
    "change",
    mostly_slow(
        [
            lambda added: added.append(added[0]),
            lambda added: added.append(added[0] | {"content": "<new>"}),
            lambda added: added.append(added[0] | {"id": 10**9, "content": "<new>"}),
            lambda added: added.append(added[0] | {"id": -1, "content": "<new>"}),
            lambda added: added.append(added[0] | {"id": 300, "content": ""}),
        ]
    ),
)
def test_added_tokens_that_are_double_or_nameless(tiny_folder: Path, change: Any) -> None:
    path = tiny_folder / "tokenizer.json"
    held = json.loads(path.read_text())
    change(held["added_tokens"])
    path.write_text(json.dumps(held))
    assert "tokenizer" in told_by_both(tiny_folder)


@pytest.mark.parametrize(
    "named",
    mostly_slow(
        [
            ("generation_config", {"eos_token_id": True}),
            ("generation_config", {"max_new_tokens": 10**12}),
            ("generation_config", {"num_beams": 10**9}),
            ("pointing", {"sigma_px_at_640": -1}),
            ("pointing", {"sigma_px_at_640": NAN}),
            ("pointing", {"sigma_px_at_640": 10**400}),
        ]
    ),
)
def test_other_files_out_of_bounds(tiny_folder: Path, named: tuple[str, dict[str, Any]]) -> None:
    name, changes = named
    edit(tiny_folder, name, changes)
    assert name in told_by_both(tiny_folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("name", mostly_slow(["config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"]))
def test_a_fifo_is_refused_at_once(tiny_folder: Path, name: str) -> None:
    (tiny_folder / name).unlink(missing_ok=True)
    os.mkfifo(tiny_folder / name)
    assert "regular" in told_by_both(tiny_folder)


def test_links_to_files_load_as_in_a_cache_of_hugging_face(tiny_folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for path in tiny_folder.iterdir():
        (linked / path.name).symlink_to(path)
    load_backend(linked, device="cpu")
    assert inspect_checkpoint(linked).complete
