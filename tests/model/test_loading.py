"""Checkpoints are read strictly, and nothing in them is ever run."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import CheckpointError, DependencyError, InputError
from molmo_point.model import MolmoForCausalLM, load_backend
from molmo_point.model.loading import load_config, load_model

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
    refusal(tiny_folder)
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
