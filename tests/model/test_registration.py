"""The Auto classes of transformers load released folders with our classes, and run nothing that is in them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

import molmo_point.model
from molmo_point.errors import CheckpointError, DependencyError, InputError
from molmo_point.model import Molmo, MolmoConfig, MolmoForCausalLM, MolmoProcessor, register
from molmo_point.model.checkpoint.strict_loading import refuse_wrong_keys

AUTO_MODELS = (AutoModelForImageTextToText, AutoModelForCausalLM)
A_TENSOR = "model.transformer.blocks.1.ff_proj.weight"
IMAGE = np.random.default_rng(4).integers(0, 256, (40, 70, 3), dtype=np.uint8)


@pytest.fixture
def trapped_folder(tiny_folder: Path) -> Path:
    """A folder whose every file that can ask for code does, and whose code would leave a trace."""
    code = f"open({str(tiny_folder / 'i_was_here')!r}, 'w').close()\n"
    for name in ("modeling_molmo", "config_molmo", "preprocessing_molmo", "image_preprocessing_molmo"):
        (tiny_folder / f"{name}.py").write_text(code)
    asks = {
        "AutoConfig": "config_molmo.MolmoConfig",
        "AutoModelForCausalLM": "modeling_molmo.MolmoForCausalLM",
        "AutoModelForImageTextToText": "modeling_molmo.MolmoForCausalLM",
        "AutoProcessor": "preprocessing_molmo.MolmoProcessor",
        "AutoImageProcessor": "image_preprocessing_molmo.MolmoImageProcessor",
    }
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        path = tiny_folder / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | {"auto_map": asks, "processor_class": "MolmoProcessor"}))
    return tiny_folder


PROGRAM = """
import sys
from molmo_point.model import Molmo
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
folder = sys.argv[1]
for auto in (AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer):
    for options in ({}, {"trust_remote_code": True}, {"trust_remote_code": False}):
        made = auto.from_pretrained(folder, **options)
        assert not type(made).__module__.startswith("transformers_modules"), type(made)
        print(auto.__name__, type(made).__name__)
"""


def test_nothing_is_asked_and_nothing_is_run(trapped_folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(trapped_folder)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.split("\n")
    for auto, ours in (
        ("AutoConfig", "MolmoConfig"),
        ("AutoModelForCausalLM", "MolmoForCausalLM"),
        ("AutoModelForImageTextToText", "MolmoForCausalLM"),
        ("AutoProcessor", "MolmoProcessor"),
    ):
        assert lines.count(f"{auto} {ours}") == 3, run.stdout
    assert not (trapped_folder / "i_was_here").exists()
    assert "custom code" not in run.stdout + run.stderr


@pytest.mark.parametrize("auto", AUTO_MODELS)
def test_what_is_loaded_computes_and_saves_without_asking_for_code(auto: Any, trapped_folder: Path, tmp_path: Path) -> None:
    model = auto.from_pretrained(trapped_folder)
    assert type(model) is Molmo and not model.training
    processor = AutoProcessor.from_pretrained(trapped_folder)
    assert type(processor) is MolmoProcessor
    inputs = processor(images=IMAGE, text="hi")
    answer = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    processor.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        assert "auto_map" not in json.loads((tmp_path / name).read_text()), name
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["MolmoForCausalLM"]
    again = auto.from_pretrained(tmp_path)
    inputs = AutoProcessor.from_pretrained(tmp_path)(images=IMAGE, text="hi")
    assert again.generate(**inputs, max_new_tokens=4, do_sample=False).tolist() == answer.tolist()


def test_a_config_in_the_dialect_of_the_mixture_of_experts(tmp_path: Path) -> None:
    released = {
        "model_type": "molmo", "architectures": ["OLMoForCausalLM"], "auto_map": {"AutoConfig": "config_molmoe.MolmoConfig"},
        "d_model": 2048, "n_heads": 16, "n_kv_heads": None, "n_layers": 16, "mlp_ratio": 1, "mlp_hidden_size": None,
        "block_type": "moe", "moe_num_experts": 64, "moe_top_k": 8, "vocab_size": 50280, "embedding_size": 50304,
        "attention_layer_norm": True, "rope_impl": "llama", "max_sequence_length": 4096,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(released))
    config = AutoConfig.from_pretrained(tmp_path)
    assert type(config) is MolmoConfig
    assert (config.hidden_size, config.num_hidden_layers, config.num_experts, config.num_experts_per_tok) == (2048, 16, 64, 8)
    for auto in AUTO_MODELS:
        with torch.device("meta"):
            model = auto.from_config(config)
        assert type(model) is Molmo
        assert sum(p.numel() for p in model.parameters()) == 7_221_875_712


def test_registering_again_changes_nothing() -> None:
    register()
    register()
    config = AutoConfig.for_model("molmo")
    assert type(config) is MolmoConfig
    assert Molmo is MolmoForCausalLM is molmo_point.model.MolmoForCausalLM


def test_every_public_name_is_there_and_an_unknown_one_lists_them() -> None:
    for name in molmo_point.model.__all__:
        assert getattr(molmo_point.model, name) is not None
    with pytest.raises(AttributeError, match="MolmoProcessor"):
        _ = molmo_point.model.Mollmo  # pyright: ignore[reportAttributeAccessIssue]


# --- Strict, whichever way it is loaded -------------------------------------------------------------------------


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


EDITS: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    A_TENSOR: lambda t: t.pop(A_TENSOR),
    "model.extra.weight": lambda t: t.update({"model.extra.weight": torch.zeros(2)}),
    f"{A_TENSOR} is 62×32, but must be 64×32": lambda t: t.update({A_TENSOR: t[A_TENSOR][:-2].clone()}),
}


@pytest.mark.parametrize("loader", [Molmo, *AUTO_MODELS])
@pytest.mark.parametrize("named", EDITS)
def test_a_tensor_that_does_not_fit_is_named(tiny_folder: Path, loader: Any, named: str) -> None:
    edit_weights(tiny_folder, EDITS[named])
    with pytest.raises(CheckpointError, match=named) as caught:
        loader.from_pretrained(tiny_folder)
    assert str(tiny_folder) in str(caught.value)


def test_a_report_of_transformers_becomes_one_error() -> None:
    """The only check where weights are no local folder: a Hugging Face id, or the base below an adapter."""
    report = {
        "missing_keys": [f"m{i}" for i in range(7)],
        "unexpected_keys": {"u"},
        "mismatched_keys": {("s", (62, 32), (64, 32))},
    }
    with pytest.raises(CheckpointError) as caught:
        refuse_wrong_keys(report, "some/id")
    words = str(caught.value)
    assert "some/id" in words and "m0, m1, m2, m3, m4 and 2 more" in words and "unexpected keys: u;" in words
    assert "s (is (62, 32), must be (64, 32))" in words
    refuse_wrong_keys({"mismatched_keys": report["mismatched_keys"]}, "some/id", ignore_shapes=True)


def test_the_options_of_transformers_work(tiny_folder: Path) -> None:
    model, report = Molmo.from_pretrained(tiny_folder, output_loading_info=True, dtype=torch.bfloat16)
    assert type(model) is Molmo and model.dtype == torch.bfloat16
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    edit_weights(tiny_folder, EDITS[next(name for name in EDITS if "must be" in name)])
    model = Molmo.from_pretrained(tiny_folder, ignore_mismatched_sizes=True)
    assert model.get_parameter(A_TENSOR).shape == (64, 32)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [({"weights_only": False}, InputError, "weights_only"), ({"colour": "red"}, InputError, "colour")],
)
def test_other_mistakes_are_errors_of_ours(tiny_folder: Path, options: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        Molmo.from_pretrained(tiny_folder, **options)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    for source in (tmp_path / "nowhere", tmp_path, "nobody/nothing-here"):
        with pytest.raises(CheckpointError, match=Path(source).name):
            Molmo.from_pretrained(source)


def test_a_missing_library_is_named(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("this needs accelerate")

    monkeypatch.setattr("transformers.modeling_utils.check_and_set_device_map", missing)
    with pytest.raises(DependencyError, match="accelerate"):
        Molmo.from_pretrained(tiny_folder, device_map="auto")


def test_the_tokenizer_alone_loads_too(trapped_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trapped_folder)
    assert "<im_patch>" in tokenizer.get_vocab()
