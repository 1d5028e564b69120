"""Whatever is wrong with a checkpoint folder is told, each thing once, with its file."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from molmo_point.model.checkpoint.report import IMAGE_TOKENS, inspect_checkpoint
from molmo_point.model.checkpoint.weight_files import weights_of

from ..folders import A_TENSOR, WEIGHTS, edit_weights


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(token: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "tokenizer.json").read_text()
        (folder / "tokenizer.json").write_text(text.replace(token, "<another>"))

    return change


BREAKAGES: dict[str, tuple[Callable[[Path], Any], str, str, str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config", "config.json", "missing"),
    "config garbage": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe{"), "config", "config.json", "not JSON"),
    "config pointer": (
        lambda f: (f / "config.json").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "config",
        "config.json",
        "git lfs pull",
    ),
    "config nested": (lambda f: (f / "config.json").write_text("[" * 100_000), "config", "config.json", "nested"),
    "config of llama": (lambda f: edit_json(f / "config.json", model_type="llama"), "config", "config.json", "'llama'"),
    "config of clip": (lambda f: edit_json(f / "config.json", model_type="clip"), "config", "config.json", "'clip'"),
    "config of no size": (lambda f: edit_json(f / "config.json", num_hidden_layers=10**9), "config", "config.json", "10"),
    "config negative": (lambda f: edit_json(f / "config.json", hidden_size=-32), "config", "config.json", "hidden_size"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer", "tokenizer.json", "missing"),
    "no tokenizer config": (lambda f: (f / "tokenizer_config.json").unlink(), "tokenizer", "tokenizer_config.json", "missing"),
    "tokenizer without token": (without("<im_patch>"), "tokenizer", "tokenizer.json", "<im_patch>"),
    "tokenizer too large": (
        lambda f: edit_json(
            f / "tokenizer.json", added_tokens=[{"id": 9000 + i, "content": t} for i, t in enumerate(IMAGE_TOKENS)]
        ),
        "tokenizer",
        "tokenizer.json",
        "9003",
    ),
    "image settings of another": (
        lambda f: edit_json(f / "preprocessor_config.json", base_image_input_size=[336, 336]),
        "image",
        "preprocessor_config.json",
        "336",
    ),
    "trust garbage": (lambda f: (f / "trust.json").write_text('{"abilities": ["fly"]}'), "training", "trust.json", "fly"),
    "quality garbage": (lambda f: (f / "pointing.json").write_text("{}"), "quality", "pointing.json", "sigma_px"),
    "image settings garbage": (
        lambda f: (f / "preprocessor_config.json").write_text("{"),
        "image",
        "preprocessor_config.json",
        "JSON",
    ),
    "image settings of clip": (
        lambda f: (f / "preprocessor_config.json").write_text("{}"),
        "image",
        "preprocessor_config.json",
        "base_image_input_size",
    ),
    "missing tensor": (lambda f: edit_weights(f, lambda t: t.pop(A_TENSOR)), "missing", WEIGHTS, A_TENSOR),
    "unexpected tensor": (
        lambda f: edit_weights(f, lambda t: t.update({"model.extra": torch.zeros(2)})),
        "unexpected",
        WEIGHTS,
        "model.extra",
    ),
    "misshapen tensor": (
        lambda f: edit_weights(f, lambda t: t.update({A_TENSOR: t[A_TENSOR][:-2].clone()})),
        "shape",
        WEIGHTS,
        "62×32, but must be 64×32",
    ),
    "whole numbers": (
        lambda f: edit_weights(f, lambda t: t.update({A_TENSOR: t[A_TENSOR].to(torch.int32)})),
        "dtype",
        WEIGHTS,
        "I32",
    ),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_one_thing_wrong_is_one_problem(name: str, tiny_folder: Path) -> None:
    breakage, kind, file, clue = BREAKAGES[name]
    breakage(tiny_folder)
    (problem,) = inspect_checkpoint(tiny_folder).problems
    assert (problem.kind, problem.file) == (kind, file)
    assert clue in problem.text and problem.fix


def test_a_configuration_of_other_sizes_names_all_tensors(tiny_folder: Path) -> None:
    edit_json(tiny_folder / "config.json", num_hidden_layers=3)
    (problem,) = inspect_checkpoint(tiny_folder).problems
    assert problem.kind == "missing" and len(problem.tensors) == 7
    assert all(".blocks.2." in name for name in problem.tensors) and "and 4 more" in problem.text
    edit_json(tiny_folder / "config.json", num_hidden_layers=1)
    (problem,) = inspect_checkpoint(tiny_folder).problems
    assert problem.kind == "unexpected" and len(problem.tensors) == 7


def test_missing_tensors_have_the_names_of_the_files(tiny_moe_folder: Path) -> None:
    edit_json(tiny_moe_folder / "config.json", n_layers=3)
    (problem,) = inspect_checkpoint(tiny_moe_folder).problems
    assert problem.file == "pytorch_model.bin.index.json" and len(problem.tensors) == 7 + 4 * 3
    assert "model.transformer.blocks.2.attn.att_proj.weight" in problem.tensors


def test_problems_in_several_places_are_all_told(tiny_folder: Path) -> None:
    (tiny_folder / "tokenizer.json").unlink()
    edit_weights(tiny_folder, lambda tensors: (tensors.pop(A_TENSOR), tensors.update({"model.extra": torch.zeros(2)})))
    assert [problem.kind for problem in inspect_checkpoint(tiny_folder).problems] == ["missing", "unexpected", "tokenizer"]


def test_released_image_settings_are_assumed_where_there_are_none(tiny_folder: Path) -> None:
    (tiny_folder / "preprocessor_config.json").unlink()
    report = inspect_checkpoint(tiny_folder)
    assert report.image is not None and not report.image.stored and "preprocessor_config.json" in report.notes[0]
    # … and those are wrong for a model with other crops.
    assert [problem.kind for problem in report.problems] == ["image"]


@pytest.mark.parametrize("folder", ["nowhere", "a-file"])
def test_what_is_no_folder_is_one_problem(folder: str, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("x")
    (problem,) = inspect_checkpoint(tmp_path / folder).problems
    assert problem.kind == "folder" and folder in problem.text


def test_an_unreadable_folder_is_one_problem(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    (problem,) = inspect_checkpoint(tiny_folder).problems
    assert problem.kind == "folder" and "Permission denied" in problem.text and "chmod" in problem.fix


def test_an_unreadable_file_is_named(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == WEIGHTS:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    opened = Path.open
    monkeypatch.setattr(Path, "open", refused)
    (problem,) = inspect_checkpoint(tiny_folder).problems
    assert problem.file == WEIGHTS and "no permission" in problem.text


def test_weights_that_are_quantized_already_are_told(tiny_folder: Path) -> None:
    edit_json(tiny_folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    report = inspect_checkpoint(tiny_folder)
    assert report.flavor is not None and report.flavor.quantized == "bitsandbytes 4 bit"
    assert not report.compared and report.problems == () and "are quantized" in report.notes[0]


# --- Headers ----------------------------------------------------------------------------------------------------


def header_of(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size])


def test_headers_are_read_as_safetensors_reads_them(tiny_folder: Path) -> None:
    tensors = load_file(tiny_folder / WEIGHTS)
    stored = weights_of(tiny_folder).tensors
    assert {name: tensor.shape for name, tensor in stored.items()} == {name: tuple(t.shape) for name, t in tensors.items()}
    assert {tensor.dtype for tensor in stored.values()} == {"F32"}
    data = (tiny_folder / WEIGHTS).read_bytes()
    for name in (A_TENSOR, "model.vision_backbone.pad_embed"):
        raw = torch.frombuffer(bytearray(data[stored[name].start : stored[name].end]), dtype=torch.float32)
        assert torch.equal(raw, tensors[name].flatten())


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any], raw: Callable[[bytes], bytes] = lambda text: text) -> None:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = raw(json.dumps(header).encode())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


@pytest.mark.parametrize(
    ("change", "clue"),
    [
        (lambda h: h[A_TENSOR].update(dtype="F99"), "unknown type"),
        (lambda h: h[A_TENSOR].update(dtype=["F32"]), "no safetensors"),
        (lambda h: h[A_TENSOR].update(shape=[64, 33]), "64, 33"),
        (lambda h: h[A_TENSOR].update(shape=[-64, -32]), "not an integer"),
        (lambda h: h[A_TENSOR].update(shape=[64.0, 32]), "not an integer"),
        (lambda h: h[A_TENSOR].update(shape="64x32"), "not an integer"),
        (lambda h: h[A_TENSOR].pop("data_offsets"), "data_offsets"),
        (lambda h: h[A_TENSOR].update(data_offsets=[0, 64 * 32 * 4]), "overlap"),
        (lambda h: h.pop(A_TENSOR), "gaps"),
        (lambda h: h.update({A_TENSOR: 5}), "no safetensors"),
        (lambda h: h.clear(), "no tensor"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused(change: Callable[[dict[str, Any]], Any], clue: str, tiny_folder: Path) -> None:
    rewrite(tiny_folder / WEIGHTS, change)
    (problem,) = inspect_checkpoint(tiny_folder).problems
    assert problem.kind == "file" and problem.file == WEIGHTS and clue in problem.text


def test_a_header_that_names_a_tensor_twice_is_refused(tiny_folder: Path) -> None:
    entry = json.dumps(header_of(tiny_folder / WEIGHTS)[A_TENSOR])
    rewrite(tiny_folder / WEIGHTS, lambda _: None, lambda text: text[:-1] + f', "{A_TENSOR}": {entry}}}'.encode())
    (problem,) = inspect_checkpoint(tiny_folder).problems
    assert problem.file == WEIGHTS and "twice" in problem.text
