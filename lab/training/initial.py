"""The embedded model before training: its size, and an initialization that starts well."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.inputs.molmo_processor import write_settings
from molmo_point.model.inputs.preprocess import ImageLayout
from molmo_point.model.taught.feature_network import load_feature_network


@dataclass(frozen=True)
class ModelSize:
    """Size of a model.

    Attributes:
        layout: Layout of its picture; the overview alone.
        vision_width: Width of the image encoder; heads are 32 wide.
        width: Width of the decoder; heads are 32 wide.
        inner: Inner width of the decoder's feed-forward parts.
        blocks: Decoder blocks.
        attention_layers: Decoder blocks whose first head is taught to look at the target.
        vocabulary: Base vocabulary of the tokenizer.
        vision_blocks: Blocks of the image encoder; the last one is never run.
    """

    layout: ImageLayout
    vision_width: int
    width: int
    inner: int
    blocks: int
    attention_layers: tuple[int, ...]
    vocabulary: int
    vision_blocks: int = 9


SIZES = {
    "small": ModelSize(ImageLayout(crop_px=240, patch_px=12, margin_patches=4, max_crops=0), 96, 160, 384, 4, (1, 2), 512),
    "medium": ModelSize(ImageLayout(crop_px=320, patch_px=16, margin_patches=4, max_crops=0), 128, 160, 384, 6, (3, 4), 1024),
}
"""About 2.4 and 4 million parameters. Both see 20×20 patches of the whole picture."""
LAYOUT = SIZES["small"].layout
STEM_BLOCKS = 3
"""Vision blocks behind a stem: more of them forget what the stem knows of objects that training does not show."""


def embedded_config(eos_id: int, size: ModelSize = SIZES["small"], stem: str = "") -> MolmoConfig:
    """Return the configuration of a dense Molmo v1 (Qwen2 flavor) of a size.

    Args:
        eos_id: Token that ends a text.
        size: Sizes.
        stem: Name of the feature network in front of `STEM_BLOCKS` vision blocks; empty for none.
    """
    return MolmoConfig(
        vocab_size=size.vocabulary,
        embedding_size=size.vocabulary,
        additional_vocab_size=8,
        hidden_size=size.width,
        intermediate_size=2 * size.inner,
        num_hidden_layers=size.blocks,
        num_attention_heads=size.width // 32,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        rope_theta=10_000.0,
        qkv_bias=True,
        eos_token_id=eos_id,
        bos_token_id=eos_id,
        pad_token_id=eos_id,
        vision_config={
            "image_size": size.layout.crop_px,
            "patch_size": size.layout.patch_px,
            "hidden_size": size.vision_width,
            "num_attention_heads": size.vision_width // 32,
            "num_hidden_layers": STEM_BLOCKS if stem else size.vision_blocks,
            "intermediate_size": 4 * size.vision_width,
            "stem": stem_settings(stem, size.layout) if stem else None,
        },
    )


def stem_settings(name: str, layout: ImageLayout) -> dict[str, Any]:
    """Return `MolmoVisionConfig.stem` of a feature network of the package, for the normalized pixels of a layout."""
    blocks = [[shape.kernel, shape.stride, shape.expand, *shape.channels] for shape in load_feature_network(name).shapes]
    return {"blocks": blocks, "mean": list(layout.mean), "std": list(layout.std)}


def initial_model(config: MolmoConfig, seed: int) -> MolmoForCausalLM:
    """Make a model with random weights of a useful scale.

    Linear layers keep the variance of their input, outputs into the residual stream are damped by
    depth, position embeddings are 2D sines, vision queries equal keys (so that patches first look
    at themselves and their neighbours), and token embeddings are as large as image vectors.
    """
    torch.manual_seed(seed)
    model = MolmoForCausalLM(config)
    vision = model.model.vision_backbone.image_vit
    depth = {"wo": len(vision.transformer.resblocks), "w2": len(vision.transformer.resblocks)}
    depth |= {"attn_out": config.num_hidden_layers, "ff_out": config.num_hidden_layers}
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear):
                leaf = name.rsplit(".", 1)[-1]
                std = module.in_features**-0.5
                if "blocks" in name and leaf in depth:
                    std /= (2 * depth[leaf]) ** 0.5
                module.weight.normal_(std=std)
                if module.bias is not None:
                    module.bias.zero_()
        side = config.vision_config.patches_per_side  # type: ignore[union-attr]
        table = torch.from_numpy(sine_positions_2d(side, vision.class_embedding.shape[0]))
        vision.positional_embedding[1:] = table
        for block in vision.transformer.resblocks:
            attention: Any = block.attention
            attention.wk.weight.copy_(attention.wq.weight)
        vision.class_embedding.normal_(std=0.5)
        embedding = model.model.transformer["wte"]
        embedding.embedding.normal_(std=0.5)
        embedding.new_embedding.normal_(std=0.5)
        model.model.transformer["ff_out"].weight.normal_(std=0.02)
    return model


def sine_positions_2d(side: int, width: int) -> np.ndarray:
    """Return two-dimensional sine position embeddings (side², width) float32, raster order."""
    quarter = width // 4
    frequency = 1.0 / (100.0 ** (np.arange(quarter) / quarter))
    v, u = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequency for axis in (u, v)]
    waves = [f(a) for a in angles for f in (np.sin, np.cos)]
    return np.concatenate(waves, axis=1).astype(np.float32)


def write_preprocessor_config(folder: Path, layout: ImageLayout = LAYOUT) -> None:
    """Write ``preprocessor_config.json`` and ``processor_config.json`` in the released layout."""
    write_settings(folder, layout, {"processor_class": "MolmoProcessor"})
