"""What a checkpoint is and what is wrong with it, told without loading it."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint import IMAGE_TOKENS, CheckpointReport, inspect_checkpoint
from molmo_point.model.flavours import flavour_of
from molmo_point.model.loading import load_model
from molmo_point.model.memory import PRECISIONS, count_parameters, is_rounded, memory_needs, part_of
from molmo_point.model.processing import IMAGE_TOKENS as TOKENS_OF_THE_PROCESSOR
from molmo_point.model.quantization import default_quantization, quantized_modules
from molmo_point.model.weight_files import weights_of
from molmo_point.model.weight_fit import expected_shapes

GOLDEN = Path(__file__).parents[1] / "golden"
TABLETOP = Path(__file__).parents[2] / "molmo_point" / "checkpoints" / "tabletop"
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
    assert report.flavour is not None and report.parameters is not None
    assert report.flavour.title.startswith(name)
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
    shapes = expected_shapes(model.config)
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
    assert report.flavour is not None and "tabletop" in report.flavour.title
    assert report.dtypes == {"F16": 2437760} and report.parameters is not None
    assert report.parameters.total == 2437760
    assert report.size_bytes == (TABLETOP / WEIGHTS).stat().st_size
    assert report.image is not None and (report.image.crop_px, report.image.max_crops) == (240, 0)
    json.dumps(report.to_dict())


def test_a_mixture_of_experts_in_bin_shards_is_known_and_complete(tiny_moe_folder: Path) -> None:
    report = inspect_checkpoint(tiny_moe_folder)
    assert report.problems == () and report.compared
    assert report.flavour is not None and "mixture of experts" in report.flavour.title
    assert (report.flavour.experts, report.flavour.experts_per_token, report.flavour.kv_heads) == (4, 2, 4)
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
    assert report.problems == () and not report.compared and title in report.notes[0]
    assert report.notes[0].endswith({"molmo2": "done while it is loaded", "molmo_point": "does not run it"}[kind])
    assert report.flavour is not None and report.parameters is not None
    assert (report.flavour.title, report.flavour.family) == (title, kind.replace("_", ""))
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


# --- What is wrong ----------------------------------------------------------------------------------------------


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


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
        "KeyError",
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
    assert problem.file == WEIGHTS and "may not read" in problem.text


def test_weights_that_are_quantized_already_are_told(tiny_folder: Path) -> None:
    edit_json(tiny_folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    report = inspect_checkpoint(tiny_folder)
    assert report.flavour is not None and report.flavour.quantized == "bitsandbytes 4 bit"
    assert not report.compared and report.problems == () and "quantized already" in report.notes[0]


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
        (lambda h: h[A_TENSOR].update(shape=[-64, -32]), "no whole number"),
        (lambda h: h[A_TENSOR].update(shape=[64.0, 32]), "no whole number"),
        (lambda h: h[A_TENSOR].update(shape="64x32"), "no whole number"),
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


# --- Without torch ----------------------------------------------------------------------------------------------


def test_without_torch_names_and_sizes_are_looked_at(tiny_moe_folder: Path) -> None:
    report = inspect_checkpoint(tiny_moe_folder, use_torch=False)
    assert report.problems == () and not report.compared and "torch" in report.notes[0]
    assert report.size_bytes > 0 and report.flavour is not None and report.memory == ()
    (tiny_moe_folder / "pytorch_model-00002-of-00002.bin").write_bytes(b"garbage")
    (problem,) = inspect_checkpoint(tiny_moe_folder, use_torch=False).problems
    assert problem.file == "pytorch_model-00002-of-00002.bin"


def test_a_light_inspection_loads_no_torch() -> None:
    program = (
        "import sys; from molmo_point.model.checkpoint import inspect_checkpoint as i; "
        f"r = i({str(TABLETOP)!r}, use_torch=False); print(r.complete, len(r.memory), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=TABLETOP.parents[2], check=False)
    assert done.stdout.split() == ["True", "4", "False"], done.stderr


def test_the_light_count_is_the_full_one() -> None:
    light, full = inspect_checkpoint(TABLETOP, use_torch=False), inspect_checkpoint(TABLETOP)
    assert (light.parameters, light.memory) == (full.parameters, full.memory)


def test_flavours_refuse_what_is_of_no_family() -> None:
    for data in ([], None, {}, {"model_type": ["molmo"]}, {"model_type": "molmo2"}, {"model_type": "molmo2", "text_config": 5}):
        with pytest.raises(CheckpointError):
            flavour_of(data)
    flavour = flavour_of(MOLMOE)
    assert count_parameters([], flavour).total == 0
    assert [need.weights_bytes for need in memory_needs([("a.weight", (2, 3)), ("b.bias", (5,))], flavour)] == [44, 22, 24, 17]
