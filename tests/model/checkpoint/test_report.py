"""What a checkpoint is and what is wrong with it, told without loading it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from molmo_point.errors import CheckpointError
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.checkpoint.loading import load_model
from molmo_point.model.checkpoint.memory import PRECISIONS, count_parameters, is_rounded, memory_needs, part_of
from molmo_point.model.checkpoint.published_sizes import flavor_of
from molmo_point.model.checkpoint.quantization import default_quantization, quantized_modules
from molmo_point.model.checkpoint.report import IMAGE_TOKENS, CheckpointReport, inspect_checkpoint
from molmo_point.model.checkpoint.weight_checks import expected_shapes
from molmo_point.model.inputs.molmo_processor import IMAGE_TOKENS as TOKENS_OF_THE_PROCESSOR

GOLDEN = Path(__file__).parents[2] / "golden"
TABLETOP = Path(__file__).parents[3] / "molmo_point" / "checkpoints" / "tabletop"
WEIGHTS = "model.safetensors"
A_TENSOR = "model.transformer.blocks.1.ff_proj.weight"

# Sizes and parameters as the authors' files have them.
MOLMOE = {
    "model_type": "molmo", "block_type": "moe", "d_model": 2048, "n_heads": 16, "n_kv_heads": None, "n_layers": 16,
    "mlp_ratio": 1, "mlp_hidden_size": None, "moe_num_experts": 64, "moe_top_k": 8, "vocab_size": 50280,
    "embedding_size": 50304, "attention_layer_norm": True, "rope_theta": 1e4, "layer_norm_eps": 1e-5,
    "max_sequence_length": 4096,
}  # fmt: skip
DENSE: dict[str, Any] = {"model_type": "molmo", "additional_vocab_size": 128}
MOLMO_7B_O = DENSE | {
    "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": None, "vocab_size": 100278, "embedding_size": 100352, "attention_layer_norm": True,
    "norm_after": True, "qkv_bias": False, "rope_theta": 5e5,
}  # fmt: skip
MOLMO_72B = DENSE | {
    "hidden_size": 8192, "intermediate_size": 59136, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "vocab_size": 152064, "layer_norm_eps": 1e-5,
}  # fmt: skip
MOLMO_7B_D = json.loads((GOLDEN / "molmo-7b-d" / "config.json").read_text())

# Published arithmetic, in 10⁹ parameters and bytes: total, active, vision, connector, language; fp32, bf16, int8, NF4; and
# the KiB of keys and values of a token.
RELEASED: dict[str, tuple[dict[str, Any], tuple[float, ...], tuple[float, ...], int]] = {
    "MolmoE-1B": (MOLMOE, (7.221875712, 1.58, 0.2909, 0.0115, 6.9194), (28.9, 14.4, 7.7, 4.8), 128),
    "Molmo-7B-O": (MOLMO_7B_O, (7.665032192, 7.665032192, 0.2909, 0.0750, 7.2991), (30.7, 15.3, 8.9, 6.0), 512),
    "Molmo-7B-D": (MOLMO_7B_D, (8.02102528, 8.02102528, 0.2909, 0.1140, 7.6161), (32.1, 16.0, 9.5, 6.7), 56),
    "Molmo-72B": (MOLMO_72B, (73.308285952, 73.308285952, 0.2909, 0.3101, 72.7073), (293, 147, 76.4, 45.7), 320),
}


def released_report(folder: Path, config: dict[str, Any]) -> CheckpointReport:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return inspect_checkpoint(folder)


@pytest.mark.parametrize("name", RELEASED)
def test_released_checkpoints_take_what_is_published(name: str, tmp_path: Path) -> None:
    config, parameters, memory, cache_kib = RELEASED[name]
    report = released_report(tmp_path / name, config)
    assert report.flavor is not None and report.parameters is not None
    assert report.flavor.title.startswith(name)
    counts = report.parameters
    found = (counts.total, counts.active, counts.vision, counts.connector, counts.language)
    for count, published in zip(found, parameters, strict=True):
        assert count / 1e9 == pytest.approx(published, abs=5.1e-3 if published == 1.58 else 5.1e-5)
    assert counts.total == counts.vision + counts.connector + counts.language
    # Published with one digit after the point (none from 100 on) and without int8's float32 scale for every row of a
    # matrix, which is in ours: 6 MB of 9.5 GB for Molmo-7B-D.
    for need, published in zip(report.memory, memory, strict=True):
        assert need.weights_bytes / 1e9 == pytest.approx(published, abs=0.51 if published > 100 else 0.051)
        assert need.total_bytes == need.weights_bytes + need.cache_bytes
    assert [need.precision for need in report.memory] == list(PRECISIONS)
    assert [need.cache_bytes_per_token / 1024 for need in report.memory] == [2 * cache_kib, *[cache_kib] * 3]
    assert report.memory[1].cache_bytes == 1500 * 1024 * cache_kib


def stored_bytes(model: torch.nn.Module) -> int:
    """Bytes of everything that a model holds, scales of quantized weights included."""
    total = 0
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            total += parameter.numel() * parameter.element_size()
            state = getattr(parameter, "quant_state", None)
            scales = state.absmax if state is not None else getattr(parameter, "SCB", None)
            if isinstance(scales, torch.Tensor):
                total += scales.numel() * scales.element_size()
    return total


@pytest.mark.parametrize("folder", ["tiny_folder", "tiny_moe_folder"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_memory_is_what_a_loaded_model_holds(folder: str, precision: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(folder)
    need = next(need for need in inspect_checkpoint(path).memory if need.precision == precision)
    rounded = precision in ("int8", "nf4")
    if rounded:
        pytest.importorskip("bitsandbytes")
    dtype = "float32" if precision == "fp32" else "bfloat16"
    model = load_model(path, torch.device("cpu"), default_quantization(precision) if rounded else None, dtype)
    assert stored_bytes(model) == need.weights_bytes
    shapes = expected_shapes(MolmoForCausalLM, model.config)
    if rounded:
        ours = {name.removesuffix(".weight") for name, shape in shapes.items() if is_rounded(name, shape)}
        assert ours == set(quantized_modules(model))
        kept = sum(2 * torch.Size(shape).numel() for name, shape in shapes.items() if not is_rounded(name, shape))
        assert need.kept_bytes == kept
        assert need.on_cpu_bytes == need.total_bytes + kept + need.cache_bytes
    else:
        assert need.kept_bytes == 0 and need.on_cpu_bytes == need.total_bytes


def test_the_embedded_model_is_known_and_complete() -> None:
    report = inspect_checkpoint(TABLETOP)
    assert report.problems == () and report.complete and report.compared
    assert report.flavor is not None and "embedded model" in report.flavor.title
    assert report.dtypes == {"F16": 4016864} and report.parameters is not None
    assert report.parameters.total == 4016864
    assert report.size_bytes == (TABLETOP / WEIGHTS).stat().st_size
    assert report.image is not None and (report.image.crop_px, report.image.max_crops) == (320, 0)
    json.dumps(report.to_dict())
    (told,) = (note for note in report.notes if note.startswith("trust: "))
    assert "trust: calibrated, 12 words" in told


def test_a_folder_without_a_calibration_tells_how_to_get_one(tiny_moe_folder: Path) -> None:
    (told,) = (note for note in inspect_checkpoint(tiny_moe_folder).notes if note.startswith("trust: "))
    assert "not calibrated (molmo-point eval calibration" in told and "no list of words" in told


def test_a_mixture_of_experts_in_bin_shards_is_known_and_complete(tiny_moe_folder: Path) -> None:
    report = inspect_checkpoint(tiny_moe_folder)
    assert report.problems == () and report.compared
    assert report.flavor is not None and "mixture of experts" in report.flavor.title
    assert (report.flavor.experts, report.flavor.experts_per_token, report.flavor.kv_heads) == (4, 2, 4)
    assert [file.name for file in report.files] == [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    assert set(report.dtypes) == {"F32"} and report.parameters is not None
    experts = 2 * 4 * 3 * 32 * 16
    assert report.parameters.total - report.parameters.active == experts // 2
    assert sum(report.dtypes.values()) == report.parameters.total


def test_a_model_without_its_weights_still_tells_its_memory(tiny_folder: Path) -> None:
    (tiny_folder / WEIGHTS).unlink()
    report = inspect_checkpoint(tiny_folder)
    assert [problem.kind for problem in report.problems] == ["file"]
    assert report.memory and report.parameters is not None and not report.compared


def later(folder: Path, kind: str) -> Path:
    folder.mkdir()
    text = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    config = {"model_type": kind, "text_config": text | {"vocab_size": 300}}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    tokens = [{"id": 300 + i, "content": token} for i, token in enumerate(IMAGE_TOKENS)]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    tensors = {
        "model.transformer.wte.embedding": torch.zeros(300, 64),
        "model.transformer.blocks.0.mlp.ff_proj.weight": torch.zeros(128, 64),
        "model.vision_backbone.image_vit.patch_embedding.weight": torch.zeros(8, 588),
        "model.vision_backbone.image_projector.w1.weight": torch.zeros(16, 8),
        "lm_head.weight": torch.zeros(300, 64),
    }
    save_file(tensors, folder / WEIGHTS)
    return folder


@pytest.mark.parametrize(("kind", "title"), [("molmo2", "Molmo2"), ("molmo_point", "MolmoPoint")])
def test_later_families_are_known_by_their_files(kind: str, title: str, tmp_path: Path) -> None:
    report = inspect_checkpoint(later(tmp_path / kind, kind))
    # The tokenizer of this folder names tokens only; those of the family are read whole when they are loaded.
    assert {problem.kind for problem in report.problems} <= {"tokenizer"}
    assert not report.compared and title in report.notes[0]
    assert report.notes[0].endswith({"molmo2": "loading compares them", "molmo_point": "does not run it"}[kind])
    assert report.flavor is not None and report.parameters is not None
    assert (report.flavor.title, report.flavor.family) == (title, kind.replace("_", ""))
    assert (report.parameters.vision, report.parameters.connector) == (8 * 588, 16 * 8)
    assert report.parameters.language == 2 * 300 * 64 + 128 * 64
    assert report.memory[1].cache_bytes_per_token == 2 * 3 * 2 * 16 * 2
    rounded = 128 * 64
    assert report.memory[3].weights_bytes == rounded // 2 + 4 * rounded // 64 + 2 * (report.parameters.total - rounded)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.vision_backbone.image_vit.pre_ln.weight", "vision"),
        ("model.vision_backbone.pad_embed", "connector"),
        ("model.multi_modal_projector.image_projector.up_proj.weight", "connector"),
        ("model.vision_tower.layers.0.mlp.fc1.weight", "vision"),
        ("model.transformer.blocks.3.ff_out.weight", "language"),
        ("lm_head.weight", "language"),
    ],
)
def test_every_tensor_has_its_part(name: str, part: str) -> None:
    assert part_of(name) == part


def test_what_is_rounded_and_what_is_not() -> None:
    for name in ("model.transformer.blocks.3.ff_out.weight", "model.transformer.blocks.0.mlp.experts.7.gate_proj.weight"):
        assert is_rounded(name, (8, 8)) and not is_rounded(name, (8,))
    for name in (
        "model.transformer.ff_out.weight",
        "model.transformer.wte.embedding",
        "model.transformer.blocks.0.mlp.gate.weight",
        "lm_head.weight",
        "model.vision_backbone.image_vit.patch_embedding.weight",
    ):
        assert not is_rounded(name, (8, 8))


def test_the_image_tokens_are_those_of_the_processor() -> None:
    assert tuple(TOKENS_OF_THE_PROCESSOR) == IMAGE_TOKENS


# --- Without torch ----------------------------------------------------------------------------------------------


def test_without_torch_names_and_sizes_are_looked_at(tiny_moe_folder: Path) -> None:
    report = inspect_checkpoint(tiny_moe_folder, use_torch=False)
    assert report.problems == () and not report.compared and "torch" in report.notes[0]
    assert report.size_bytes > 0 and report.flavor is not None and report.memory == ()
    (tiny_moe_folder / "pytorch_model-00002-of-00002.bin").write_bytes(b"garbage")
    (problem,) = inspect_checkpoint(tiny_moe_folder, use_torch=False).problems
    assert problem.file == "pytorch_model-00002-of-00002.bin"


def test_a_light_inspection_loads_no_torch() -> None:
    program = (
        "import sys; from molmo_point.model.checkpoint.report import inspect_checkpoint as i; "
        f"r = i({str(TABLETOP)!r}, use_torch=False); print(r.complete, len(r.memory), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=TABLETOP.parents[2], check=False)
    assert done.stdout.split() == ["True", "4", "False"], done.stderr


def test_the_light_count_is_the_full_one() -> None:
    light, full = inspect_checkpoint(TABLETOP, use_torch=False), inspect_checkpoint(TABLETOP)
    assert (light.parameters, light.memory) == (full.parameters, full.memory)


def test_flavors_refuse_what_is_of_no_family() -> None:
    for data in ([], None, {}, {"model_type": ["molmo"]}, {"model_type": "molmo2"}, {"model_type": "molmo2", "text_config": 5}):
        with pytest.raises(CheckpointError):
            flavor_of(data)
    flavor = flavor_of(MOLMOE)
    assert count_parameters([], flavor).total == 0
    assert [need.weights_bytes for need in memory_needs([("a.weight", (2, 3)), ("b.bias", (5,))], flavor)] == [44, 22, 24, 17]
