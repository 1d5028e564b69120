"""An image encoder with a frozen stem: features, files, and descriptions that are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from molmo_point.errors import CheckpointError
from molmo_point.finetuning.parameter_groups import parameter_groups
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig, MolmoVisionConfig
from molmo_point.model.architecture.stem import Stem
from molmo_point.model.checkpoint.report import inspect_checkpoint
from molmo_point.model.inputs.preprocess import ImageLayout, prepare_image

LAYOUT = ImageLayout(crop_px=64, patch_px=16, margin_patches=0, max_crops=0)
BLOCKS = [[3, 1, 1, 8, 6], [3, 2, 2, 6, 8], [5, 2, 2, 8, 10], [3, 2, 2, 10, 12]]
STEM = {"blocks": BLOCKS, "mean": list(LAYOUT.mean), "std": list(LAYOUT.std)}
VISION = {
    "image_size": 64,
    "patch_size": 16,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
}
SMALL = {
    "vocab_size": 64, "embedding_size": 64, "additional_vocab_size": 8, "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
}  # fmt: skip


def model_with_stem() -> MolmoForCausalLM:
    torch.manual_seed(0)
    return MolmoForCausalLM(MolmoConfig(**SMALL, vision_config={**VISION, "stem": STEM})).eval()


def patches_of(color: np.ndarray, layout: ImageLayout = LAYOUT) -> torch.Tensor:
    return torch.from_numpy(prepare_image(color, layout).images)


@pytest.mark.parametrize("patch_px", [16, 32])
def test_the_stem_sees_the_pixels_of_the_crop(patch_px: int) -> None:
    torch.manual_seed(1)
    stem = Stem(STEM, patch_px)
    color = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = stem(patches_of(color, ImageLayout(64, patch_px, 0, 0)))
    plain = stem.network(torch.from_numpy(color).permute(2, 0, 1)[None].float())
    assert found.shape == (1, (64 // patch_px) ** 2, stem.channels)
    if patch_px == 16:
        torch.testing.assert_close(found, plain.flatten(2).transpose(1, 2), atol=1e-4, rtol=1e-4)
    else:  # the four cells of the second patch of the first row
        of_patch = found[0, 1].view(plain.shape[1], 2, 2)
        torch.testing.assert_close(of_patch, plain[0, :, 0:2, 2:4], atol=1e-4, rtol=1e-4)


def test_features_are_the_last_output_and_the_first_input_and_the_stem_learns_nothing() -> None:
    model = model_with_stem().train()
    backbone, vision = model.model.vision_backbone, model.config.vision_config
    assert isinstance(vision, MolmoVisionConfig) and vision.feature_layers == (1, -1)
    color = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    features = backbone.image_vit(patches_of(color))
    assert features.shape == (1, 16, 64) and not torch.allclose(features[..., :32], features[..., 32:])
    features.sum().backward()
    stem = [name for name, _ in model.named_parameters() if ".stem." in name]
    assert stem and all(parameter.grad is None for name, parameter in model.named_parameters() if name in stem)
    trained = {id(parameter) for group in parameter_groups(model).values() for parameter in group}
    assert trained == {id(parameter) for name, parameter in model.named_parameters() if name not in stem}


def test_one_file_holds_stem_and_model_and_loading_is_strict(tmp_path: Path) -> None:
    model = model_with_stem()
    model.save_pretrained(tmp_path)
    images = patches_of(np.full((64, 64, 3), 90, np.uint8))
    again = MolmoForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(again.model.vision_backbone.image_vit(images), model.model.vision_backbone.image_vit(images))
    report = inspect_checkpoint(tmp_path)
    assert report.compared and not [problem for problem in report.problems if problem.kind in ("config", "missing", "shape")]
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    lost = "model.vision_backbone.image_vit.stem.network.blocks.1.expand.weight"
    save_file({name: tensor for name, tensor in state.items() if name != lost}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"stem\.network\.blocks\.1\.expand\.weight"):
        MolmoForCausalLM.from_pretrained(tmp_path)
    assert any("stem.network.blocks.1.expand.weight" in problem.text for problem in inspect_checkpoint(tmp_path).problems)


def test_without_a_stem_nothing_changes() -> None:
    config = MolmoConfig(**SMALL, vision_config={**VISION, "num_hidden_layers": 9})
    assert not [name for name in MolmoForCausalLM(config).state_dict() if "stem" in name]
    with pytest.raises(CheckpointError, match="9 blocks or more"):
        MolmoVisionConfig(**VISION)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blocks": []}, "stem.blocks"),
        ({"blocks": BLOCKS[:3]}, "multiply to 16"),
        ({"blocks": [*BLOCKS[:3], [3, 2, 2, 11, 12]]}, r"blocks\[3\]"),
        ({"blocks": [[4, 1, 1, 8, 6], *BLOCKS[1:]]}, r"blocks\[0\]"),
        ({"blocks": [[3, 1, 1, 8, 10**9], *BLOCKS[1:]]}, "blocks"),
        ({"blocks": [["3", 1, 1, 8, 6], *BLOCKS[1:]]}, r"blocks\[0\]"),
        ({"mean": [0.5]}, "stem.mean"),
        ({"std": [0.0, 1.0, 1.0]}, "stem.std"),
        ({"std": None}, "stem.std"),
    ],
)
def test_a_wrong_stem_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    vision = {**VISION, "stem": {**STEM, **change}}
    with pytest.raises(CheckpointError, match=words):
        MolmoVisionConfig(**vision)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "molmo", **SMALL, "vision_config": vision}))
    assert any(problem.kind == "config" for problem in inspect_checkpoint(tmp_path).problems)


def test_a_patch_of_another_size_is_refused() -> None:
    with pytest.raises(CheckpointError, match="multiples of 16"):
        MolmoVisionConfig(**{**VISION, "patch_size": 8, "stem": STEM})
