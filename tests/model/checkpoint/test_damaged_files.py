"""Weight files that are broken or do not fit are refused with the name of the file, however they are loaded."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import CheckpointError
from molmo_point.model import Molmo, MolmoForCausalLM, load_backend
from molmo_point.model.architecture.config import load_config
from molmo_point.model.checkpoint import weight_checks
from molmo_point.model.checkpoint.loading import load_model
from molmo_point.model.checkpoint.weight_files import weights_of

from ..folders import A_TENSOR, INDEX, WEIGHTS, as_bin, edit_config, edit_index, edit_weights, refusal, sharded


def test_a_missing_tensor_is_named(tiny_folder: Path) -> None:
    edit_weights(tiny_folder, lambda tensors: tensors.pop(A_TENSOR))
    assert A_TENSOR in refusal(tiny_folder)


def test_an_unexpected_tensor_is_named(tiny_folder: Path) -> None:
    edit_weights(tiny_folder, lambda tensors: tensors.update({"model.extra.weight": torch.zeros(2)}))
    assert "model.extra.weight" in refusal(tiny_folder)


def test_a_tensor_of_another_shape_is_named(tiny_folder: Path) -> None:
    edit_weights(tiny_folder, lambda tensors: tensors.update({A_TENSOR: tensors[A_TENSOR][:-2].clone()}))
    assert A_TENSOR in refusal(tiny_folder)


def test_weights_of_another_size_are_refused(tiny_folder: Path) -> None:
    edit_config(tiny_folder, num_hidden_layers=3)
    assert "blocks.2" in refusal(tiny_folder)
    edit_config(tiny_folder, num_hidden_layers=1)
    assert "blocks.1" in refusal(tiny_folder)


@pytest.mark.parametrize("keep", [0, 5, 600, -1000])
def test_truncated_weights_are_refused(tiny_folder: Path, keep: int) -> None:
    path = tiny_folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:keep])
    assert "weights" in refusal(tiny_folder)


def test_missing_weights_are_refused(tiny_folder: Path) -> None:
    (tiny_folder / WEIGHTS).unlink()
    assert "weights" in refusal(tiny_folder)


def test_a_missing_shard_is_refused(tiny_folder: Path) -> None:
    model = load_model(tiny_folder, torch.device("cpu"))
    (tiny_folder / WEIGHTS).unlink()
    model.save_pretrained(tiny_folder, max_shard_size="60KB")
    shards = sorted(tiny_folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    load_backend(tiny_folder, device="cpu")
    shards[1].unlink()
    refusal(tiny_folder)


# --- Shards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "file", "clue"),
    [
        (lambda s: s[1].unlink(), "model-00002-of", "missing"),
        (lambda s: s[1].write_bytes(s[1].read_bytes()[:-7]), "model-00002-of", "bytes"),
        (
            lambda s: s[1].write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            "model-00002-of",
            "git lfs pull",
        ),
        (lambda s: s[1].write_bytes(s[0].read_bytes()), "model-00002-of", "is also in"),
        (lambda s: s[1].write_bytes(b""), "model-00002-of", "cut short"),
        (lambda s: s[0].with_name(INDEX).unlink(), INDEX, "missing"),
        (lambda s: s[0].with_name(INDEX).write_text("{"), INDEX, "JSON"),
        (lambda s: s[0].with_name(INDEX).write_text("{}"), INDEX, "weight_map"),
        (lambda s: s[0].with_name(INDEX).write_text(json.dumps({"weight_map": {"a": s[0].name}})), INDEX, "metadata"),
        (
            lambda s: edit_index(s[0].parent, lambda w: w.update({A_TENSOR: "../model.safetensors"})),
            INDEX,
            "no file of the folder",
        ),
        (lambda s: edit_index(s[0].parent, lambda w: w.update({A_TENSOR: 7})), INDEX, "no file of the folder"),
        (lambda s: edit_index(s[0].parent, lambda w: w.update({A_TENSOR: "weights.pt"})), "weights.pt", "missing"),
        (lambda s: edit_index(s[0].parent, lambda w: w.update({A_TENSOR: "config.json"})), "config.json", ".safetensors"),
        (lambda s: edit_index(s[0].parent, lambda w: w.update({a_tensor_of(s[1]): s[0].name})), "model-00001-of", "promises"),
        (lambda s: edit_index(s[0].parent, lambda w: w.update({"model.phantom": s[0].name})), "model-00001-of", "model.phantom"),
    ],
)
def test_broken_shards_are_named(change: Callable[[list[Path]], Any], file: str, clue: str, tiny_folder: Path) -> None:
    change(sharded(tiny_folder))
    message = refusal(tiny_folder)
    assert file in message and clue in message


def a_tensor_of(path: Path) -> str:
    return next(iter(load_file(path)))


def test_a_tensor_in_two_shards_is_refused(tiny_folder: Path) -> None:
    shards = sharded(tiny_folder)
    tensors = load_file(shards[1])
    name, tensor = next(iter(load_file(shards[0]).items()))
    save_file(tensors | {name: tensor + 1}, shards[1])
    message = refusal(tiny_folder)
    assert name in message and shards[0].name in message and shards[1].name in message


@pytest.mark.parametrize(
    ("change", "clue"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), "cut short"),
        (lambda p: p.write_bytes(b"garbage" * 100), "cut short or no torch archive"),
        (lambda p: p.write_bytes(b""), "cut short"),
        (lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        (lambda p: torch.save([torch.zeros(3)], p), "list"),
        (lambda p: torch.save({}, p), "no tensor"),
        (lambda p: torch.save({A_TENSOR: "a string"}, p), A_TENSOR),
        (lambda p: torch.save({7: torch.zeros(3)}, p), "7"),
        (lambda p: torch.save({A_TENSOR: torch.zeros(3).to_sparse()}, p), A_TENSOR),
        (lambda p: torch.save({A_TENSOR: torch.zeros(3)}, p, _use_new_zipfile_serialization=False), "no torch archive"),
        (lambda p: zip_bomb(p), "compressed"),
        (lambda p: zip_of_text(p), "without weights of torch"),
    ],
)
def test_a_bin_that_is_no_state_of_a_model_is_refused(change: Callable[[Path], Any], clue: str, tiny_folder: Path) -> None:
    change(as_bin(tiny_folder))
    message = refusal(tiny_folder)
    assert "pytorch_model.bin" in message and clue in message and "weights_only" not in message


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10_000_000)


def zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/readme.txt", b"hello")


def test_whole_numbers_are_no_weights(tiny_folder: Path) -> None:
    edit_weights(tiny_folder, lambda tensors: tensors.update({A_TENSOR: tensors[A_TENSOR].to(torch.int8)}))
    message = refusal(tiny_folder)
    assert A_TENSOR in message and "I8" in message and WEIGHTS in message
    path = as_bin(tiny_folder)
    assert "I8" in refusal(tiny_folder) and path.name in refusal(tiny_folder)


# --- Damage at random --------------------------------------------------------------------------------------------


def bytes_that_matter(path: Path) -> list[range]:
    """Where a file says what it holds: all of a JSON, the header of safetensors, pickle and directory of a ``.bin``."""
    size = path.stat().st_size
    if path.suffix == ".safetensors":
        return [range(8 + int.from_bytes(path.read_bytes()[:8], "little"))]
    if path.suffix == ".json":
        return [range(size)]
    with zipfile.ZipFile(path) as archive:
        pickle = next(entry for entry in archive.infolist() if entry.filename.endswith("data.pkl"))
        return [range(pickle.header_offset, pickle.header_offset + pickle.file_size), range(archive.start_dir, size)]


def kinds_of(model: MolmoForCausalLM) -> dict[str, Any]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "times"), [(WEIGHTS, 120), ("config.json", 90), (INDEX, 40), ("model-00002-of", 20), ("pytorch_model.bin", 40)]
)
def test_damaged_bytes_are_an_error_of_ours_or_no_damage(name: str, times: int, tiny_folder: Path) -> None:
    if name == "pytorch_model.bin":
        as_bin(tiny_folder)
    elif name in (INDEX, "model-00002-of"):
        sharded(tiny_folder)
    path = next(tiny_folder.glob(f"{name}*"))
    whole, places = path.read_bytes(), bytes_that_matter(path)
    before = {
        key: (tensor.shape, tensor.dtype) for key, tensor in load_model(tiny_folder, torch.device("cpu")).state_dict().items()
    }
    random = np.random.default_rng(len(name))
    outcomes = {"refused": 0, "loaded": 0}
    for _ in range(times):
        data = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            data[random.choice(places[random.integers(len(places))])] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            model = load_model(tiny_folder, torch.device("cpu"))
        except CheckpointError as error:
            assert error.fix and str(tiny_folder) in str(error)
            outcomes["refused"] += 1
        else:
            assert kinds_of(model) == before
            outcomes["loaded"] += 1
    assert outcomes["refused"] > times // 3, outcomes


# --- Molmo.from_pretrained ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "file"),
    [
        (lambda s: s[1].write_bytes(s[1].read_bytes()[:-7]), "model-00002-of"),
        (lambda s: s[2].unlink(), "model-00003-of"),
        (lambda s: s[0].with_name(INDEX).write_text("{"), INDEX),
        (lambda s: s[0].with_name("config.json").write_text("{"), "config.json"),
        (lambda s: edit_index(s[0].parent, lambda w: w.update({"model.phantom": s[0].name})), "model.phantom"),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_from_pretrained_names_the_broken_file(
    change: Callable[[list[Path]], Any], file: str, as_text: bool, tiny_folder: Path
) -> None:
    change(sharded(tiny_folder))
    with pytest.raises(CheckpointError, match=file) as caught:
        Molmo.from_pretrained(str(tiny_folder) if as_text else tiny_folder)
    assert str(tiny_folder) in str(caught.value) and caught.value.fix


def test_from_pretrained_looks_into_a_subfolder(tiny_folder: Path) -> None:
    (shard, *_) = sharded(tiny_folder)
    assert type(Molmo.from_pretrained(tiny_folder.parent, subfolder=tiny_folder.name)) is Molmo
    shard.write_bytes(b"")
    with pytest.raises(CheckpointError, match=shard.name):
        Molmo.from_pretrained(tiny_folder.parent, subfolder=tiny_folder.name)


def test_broken_files_that_are_not_read_do_not_matter(tiny_folder: Path) -> None:
    stored = {name: tensor.clone() for name, tensor in load_file(tiny_folder / WEIGHTS).items()}
    torch.save(stored, tiny_folder / "pytorch_model.bin")
    save_file(stored, tiny_folder / "model.fp32.safetensors", metadata={"format": "pt"})
    (tiny_folder / WEIGHTS).write_bytes(b"")
    config = load_config(tiny_folder)
    for options in ({"use_safetensors": False}, {"variant": "fp32"}, {"state_dict": dict(stored), "config": config}):
        source = None if "state_dict" in options else tiny_folder
        loaded = Molmo.from_pretrained(source, **options).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in stored.items())


def test_a_changed_configuration_is_compared_after_loading(tiny_folder: Path) -> None:
    assert Molmo.from_pretrained(tiny_folder, max_position_embeddings=64).config.max_position_embeddings == 64
    with pytest.raises(CheckpointError, match=r"blocks\.1"):
        Molmo.from_pretrained(tiny_folder, num_hidden_layers=1)
    config = load_config(tiny_folder)
    config.num_hidden_layers = 3
    with pytest.raises(CheckpointError, match=r"blocks\.2"):
        Molmo.from_pretrained(tiny_folder, config=config)


def test_files_are_looked_at_once(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    monkeypatch.setattr(weight_checks, "weights_of", lambda folder: looked.append(folder) or weights_of(folder))
    load_model(tiny_folder, torch.device("cpu"))
    assert looked == [tiny_folder]
    Molmo.from_pretrained(tiny_folder)
    assert looked == [tiny_folder] * 2
