"""Checkpoints are read strictly, and nothing in them is ever run."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import CheckpointError, DependencyError, InputError
from molmo_point.model import MolmoConfig, MolmoForCausalLM, load_backend, loading
from molmo_point.model.loading import checked_dtype, load_config, load_model
from molmo_point.model.names import state_in_memory

GOLDEN = Path(__file__).parents[1] / "golden"
WEIGHTS = "model.safetensors"
A_TENSOR = "model.transformer.blocks.1.ff_proj.weight"
IMAGE = np.random.default_rng(3).integers(0, 256, (40, 70, 3), dtype=np.uint8)


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_backend(folder, device="cpu")
    assert str(folder) in str(caught.value)
    assert caught.value.fix
    return str(caught.value)


def test_saved_and_loaded_is_the_same_model(tiny_folder: Path, tmp_path: Path) -> None:
    first = load_backend(tiny_folder, device="cpu")
    stored = load_file(tiny_folder / WEIGHTS)
    assert set(stored) == set(first.model.state_dict())
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, stored[name]), name
    again = tmp_path / "again"
    first.model.save_pretrained(again)
    first.processor.tokenizer.save_pretrained(again)
    (again / "preprocessor_config.json").write_bytes((tiny_folder / "preprocessor_config.json").read_bytes())
    second = load_backend(str(again), device="cpu")
    assert (first.name, second.name) == ("tiny", str(again))
    one, two = (b.generate(IMAGE, "hi", max_new_tokens=8) for b in (first, second))
    assert (one.text, one.token_probabilities) == (two.text, two.token_probabilities)


def test_the_loaded_configuration_is_the_saved_one(tiny_folder: Path) -> None:
    config = load_config(tiny_folder)
    assert (config.hidden_size, config.num_key_value_heads, config.vision_config.hidden_size) == (32, 2, 32)
    assert (config.max_position_embeddings, config.eos_token_id) == (256, 256)


# --- Weights that do not fit ------------------------------------------------------------------------------------


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


# --- Shards, .bin, mixtures of experts --------------------------------------------------------------------------


INDEX = "model.safetensors.index.json"


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


def edit_index(folder: Path, change: Callable[[dict[str, str]], Any]) -> None:
    path = folder / INDEX
    data = json.loads(path.read_text())
    change(data["weight_map"])
    path.write_text(json.dumps(data))


def test_shards_and_bin_hold_the_same_model(tiny_folder: Path) -> None:
    stored = load_file(tiny_folder / WEIGHTS)
    sharded(tiny_folder)
    loaded = load_model(tiny_folder, torch.device("cpu")).state_dict()
    assert set(loaded) == set(stored) and all(torch.equal(loaded[name], stored[name]) for name in stored)
    for path in [*tiny_folder.glob("model-*"), tiny_folder / INDEX]:
        path.unlink()
    torch.save(stored, tiny_folder / "pytorch_model.bin")
    loaded = load_model(tiny_folder, torch.device("cpu")).state_dict()
    assert set(loaded) == set(stored) and all(torch.equal(loaded[name], stored[name]) for name in stored)


def test_a_mixture_of_experts_loads_as_released(tiny_moe_folder: Path) -> None:
    stored: dict[str, torch.Tensor] = {}
    for path in sorted(tiny_moe_folder.glob("*.bin")):
        stored |= torch.load(path, weights_only=True)
    assert "lm_head.weight" in stored and "model.transformer.blocks.1.attn.q_norm.weight" in stored
    backend = load_backend(tiny_moe_folder, device="cpu")
    loaded = backend.model.state_dict()
    wanted = state_in_memory(stored, 4)
    assert set(loaded) == set(wanted) and len(loaded) == len(stored)
    assert all(torch.equal(loaded[name], wanted[name]) for name in wanted)
    assert backend.model.config.num_experts == 4
    assert backend.generate(IMAGE, "hi", max_new_tokens=3).token_count > 0


def test_names_of_the_training_code_load_as_well(tiny_moe_folder: Path) -> None:
    wanted = load_model(tiny_moe_folder, torch.device("cpu")).state_dict()
    state: dict[str, torch.Tensor] = {}
    for name, tensor in wanted.items():
        if ".experts." not in name:
            state[name.removeprefix("model.").replace(".mlp.gate.", ".ffn.router.layer.")] = tensor
    for block in range(2):
        for theirs, ours in (("w1", "gate_proj"), ("v1", "up_proj"), ("w2", "down_proj")):
            parts = [wanted[f"model.transformer.blocks.{block}.mlp.experts.{i}.{ours}.weight"] for i in range(4)]
            stack = torch.cat([part.T if theirs == "w2" else part for part in parts]).contiguous()
            state[f"transformer.blocks.{block}.ffn.experts.mlp.{theirs}"] = stack
    for path in tiny_moe_folder.glob("pytorch_model*"):
        path.unlink()
    save_file(state, tiny_moe_folder / WEIGHTS)
    loaded = load_model(tiny_moe_folder, torch.device("cpu")).state_dict()
    assert set(loaded) == set(wanted) and all(torch.equal(loaded[name], wanted[name]) for name in wanted)
    state["transformer.blocks.0.ffn.experts.mlp.v1"] = state["transformer.blocks.0.ffn.experts.mlp.v1"][:-1].clone()
    save_file(state, tiny_moe_folder / WEIGHTS)
    message = refusal(tiny_moe_folder)
    assert "blocks.0.mlp.experts.0.up_proj" in message and "1 more problem" in message


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
        (lambda s: s[1].write_bytes(s[0].read_bytes()), "model-00002-of", "too"),
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
        (lambda p: zip_of_text(p), "none of torch's weights"),
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


# --- Precision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_floating_type_are_loaded_in_the_one_asked_for(tiny_folder: Path, stored: torch.dtype) -> None:
    edit_weights(tiny_folder, lambda tensors: tensors.update({name: t.to(stored) for name, t in tensors.items()}))
    files = load_file(tiny_folder / WEIGHTS)
    for asked, dtype in (
        (None, torch.float32),
        ("bfloat16", torch.bfloat16),
        ("torch.float16", torch.float16),
        (torch.float32,) * 2,
    ):
        model = load_model(tiny_folder, torch.device("cpu"), dtype=asked)
        assert {parameter.dtype for parameter in model.parameters()} == {dtype} and model.dtype == dtype
        assert not model.training
        assert torch.equal(model.state_dict()[A_TENSOR], files[A_TENSOR].to(dtype))


@pytest.mark.parametrize("dtype", ["int8", "float64", "auto", "", torch.int32])
def test_an_unknown_precision_is_refused(dtype: Any) -> None:
    with pytest.raises(InputError, match="bfloat16"):
        checked_dtype(dtype, torch.device("cpu"))


def test_the_precision_suits_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    for computes, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, it=computes: it)
        assert checked_dtype(None, cuda) == dtype
    assert checked_dtype(None, torch.device("cpu")) == torch.float32
    assert checked_dtype("float32", cuda) == torch.float32


# --- Memory -----------------------------------------------------------------------------------------------------


PEAK = """
import sys, json, torch
from pathlib import Path
from molmo_point.model.loading import load_model

def status():
    rows = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {name: int(rows[name].split()[0]) * 1024 for name in ("VmHWM", "RssAnon")}

load_model(Path(sys.argv[1]), torch.device("cpu"))  # whatever is imported late
before = status()
model = load_model(Path(sys.argv[2]), torch.device("cpu"))
for parameter in model.parameters():
    parameter.sum().item()  # reads every weight
after = status()
weights = sum(p.numel() * p.element_size() for p in model.parameters())
print(json.dumps({"weights": weights, "peak": after["VmHWM"] - before["VmHWM"], "copied": after["RssAnon"] - before["RssAnon"]}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_weights_are_in_memory_once(tiny_folder: Path, tmp_path: Path) -> None:
    config = load_config(tiny_folder)
    big = MolmoConfig(**(config.to_dict() | {"hidden_size": 512, "intermediate_size": 4096, "embedding_size": 10_000}))
    MolmoForCausalLM(big).save_pretrained(tmp_path / "big", max_shard_size="25MB")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tiny_folder), str(tmp_path / "big")], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1]) if done.stdout else done.stderr
    assert found["weights"] > 60e6
    assert found["peak"] < 1.15 * found["weights"] + 20e6
    # Mapped from the file, not copied: what the system can drop and read again.
    assert found["copied"] < 0.2 * found["weights"]


def test_a_bar_is_shown_for_big_files_only(
    tiny_folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_model(tiny_folder, torch.device("cpu"))
    assert "Loading" not in capfd.readouterr().err
    monkeypatch.setattr(loading, "_BAR_FROM_BYTES", 1000)
    load_model(tiny_folder, torch.device("cpu"))
    assert "Loading" in capfd.readouterr().err


# --- Damage at random -------------------------------------------------------------------------------------------


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


# --- Other files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(tiny_folder: Path, name: str) -> None:
    (tiny_folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_backend(tiny_folder, device="cpu")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"])
def test_a_broken_file_is_refused(tiny_folder: Path, name: str) -> None:
    path = tiny_folder / name
    path.write_text(path.read_text()[:30])
    refusal(tiny_folder)


@pytest.mark.parametrize("change", [{"model_type": "llama"}, {"model_type": None}, {"hidden_size": "wide"}])
def test_another_models_configuration_is_refused(tiny_folder: Path, change: dict[str, Any]) -> None:
    edit_config(tiny_folder, **change)
    assert "Molmo" in refusal(tiny_folder)


def test_a_configuration_that_is_no_object_is_refused(tiny_folder: Path) -> None:
    (tiny_folder / "config.json").write_text("[1, 2]")
    assert "list" in refusal(tiny_folder)


def test_an_incomplete_configuration_names_what_is_missing(tiny_folder: Path) -> None:
    experts = {"model_type": "molmo", "d_model": 2048, "n_heads": 16, "block_type": "moe", "moe_num_experts": 64}
    (tiny_folder / "config.json").write_text(json.dumps(experts))
    assert "num_hidden_layers" in refusal(tiny_folder)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        load_backend(tmp_path / "nowhere", device="cpu")
    with pytest.raises(CheckpointError, match="nobody/nothing-here"):
        load_backend("nobody/nothing-here", device="cpu")


def test_measured_accuracy_is_read_where_there_is_one(tiny_folder: Path) -> None:
    assert np.isnan(load_backend(tiny_folder, device="cpu").sigma_px)
    path = tiny_folder / "pointing.json"
    path.write_text('{"sigma_px_at_640": 2.5}')
    assert load_backend(tiny_folder, device="cpu").sigma_px == 2.5
    for text in ("{", "[]", "{}", '{"sigma_px_at_640": "small"}'):
        path.write_text(text)
        assert "pointing.json" in refusal(tiny_folder)


# --- Nothing is run ---------------------------------------------------------------------------------------------


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

    before = load_backend(tiny_folder, device="cpu").generate(IMAGE, "hi", max_new_tokens=4).text
    trace = plant_code(tiny_folder)
    monkeypatch.setattr("builtins.input", asked)
    backend = load_backend(tiny_folder, device="cpu")
    assert type(backend.model) is MolmoForCausalLM
    assert backend.generate(IMAGE, "hi", max_new_tokens=4).text == before
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


# --- Devices and quantization -----------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda:99", "banana", "cuda:x"])
def test_a_device_that_is_not_there_is_refused(tiny_folder: Path, device: str) -> None:
    with pytest.raises(InputError, match="device") as caught:
        load_backend(tiny_folder, device=device)
    assert "'cpu'" in str(caught.value)


def test_an_unknown_quantization_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="int3"):
        load_backend(tiny_folder, device="cpu", quantization="int3")


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_quantization_without_its_library_says_what_to_install(
    tiny_folder: Path, quantization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(DependencyError, match="pip install"):
        load_backend(tiny_folder, device="cpu", quantization=quantization)


# --- The released checkpoint ------------------------------------------------------------------------------------


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of Molmo-7B-D-0924 as its files list them."""
    hidden, inner, vit = 3584, 18944, 1024
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.embedding": (152064, hidden),
        "transformer.wte.new_embedding": (128, hidden),
        "transformer.ln_f.weight": (hidden,),
        "transformer.ff_out.weight": (152064, hidden),
        "vision_backbone.pad_embed": (2, 2048),
        "vision_backbone.image_projector.w1.weight": (inner, vit),
        "vision_backbone.image_projector.w2.weight": (hidden, inner),
        "vision_backbone.image_projector.w3.weight": (inner, vit),
        "vision_backbone.image_vit.class_embedding": (vit,),
        "vision_backbone.image_vit.positional_embedding": (577, vit),
        "vision_backbone.image_vit.patch_embedding.weight": (vit, 588),
        "vision_backbone.image_vit.pre_ln.weight": (vit,),
        "vision_backbone.image_vit.pre_ln.bias": (vit,),
    }
    for i in range(28):
        at = f"transformer.blocks.{i}"
        shapes |= {
            f"{at}.att_proj.weight": (4608, hidden),
            f"{at}.att_proj.bias": (4608,),
            f"{at}.attn_out.weight": (hidden, hidden),
            f"{at}.ff_proj.weight": (2 * inner, hidden),
            f"{at}.ff_out.weight": (hidden, inner),
            f"{at}.attn_norm.weight": (hidden,),
            f"{at}.ff_norm.weight": (hidden,),
        }
    linears = {"vision_backbone.image_pooling_2d": {"wq": (vit, 2048), "wk": (vit, 2048), "wv": (vit, 2048), "wo": (vit, vit)}}
    for i in range(23):
        at = f"vision_backbone.image_vit.transformer.resblocks.{i}"
        linears[f"{at}.attention"] = dict.fromkeys(("wq", "wk", "wv", "wo"), (vit, vit))
        linears[f"{at}.feed_forward"] = {"w1": (4096, vit), "w2": (vit, 4096)}
        shapes |= {f"{at}.{norm}.{kind}": (vit,) for norm in ("attention_norm", "ffn_norm") for kind in ("weight", "bias")}
    for at, parts in linears.items():
        for name, shape in parts.items():
            shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[:1]}
    return {f"model.{name}": shape for name, shape in shapes.items()}


def test_the_released_configuration_makes_the_released_tensors() -> None:
    config = load_config(GOLDEN / "molmo-7b-d")
    with torch.device("meta"):
        model = MolmoForCausalLM(config)
    ours = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert len(ours) == 585
    assert ours == released_shapes()
    assert sum(p.numel() for p in model.parameters()) == 8_021_025_280
    assert len(list(model.named_buffers())) == 0
