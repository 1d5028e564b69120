"""A stem in the place of a trained encoder: the decoder stays, and its image vectors stay alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lab.features.transplant import set_stem, transplant
from lab.training.batches import Batch, draw_batch
from lab.training.initial import SIZES, embedded_config, initial_model
from lab.training.losses import AuxiliaryHeads
from lab.training.scenes import render_shard
from lab.training.steps import seeing_losses
from lab.training.tokenizer import train_tokenizer
from lab.training.views import SceneViews
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout, token_places

LAYOUT = ImageLayout(crop_px=128, patch_px=16, margin_patches=0, max_crops=0)
SIZE = replace(SIZES["small"], layout=LAYOUT, vision_width=32, width=64, inner=64, blocks=2, attention_layers=(1,))


@torch.no_grad()
def image_vectors(model: MolmoForCausalLM, batch: Batch) -> torch.Tensor:
    backbone = model.model.vision_backbone
    features = backbone.encode(batch.images.flatten(0, 1), batch.image_masks.flatten(0, 1))
    return backbone.image_projector(backbone.pool(features))


def test_a_transplanted_encoder_speaks_to_the_old_decoder(tmp_path: Path) -> None:
    render_shard(tmp_path, "shard_0", seed=70, image_count=6)
    source = SceneViews(tmp_path)
    teacher = initial_model(embedded_config(0, SIZE), 3).eval()
    model = initial_model(embedded_config(0, SIZE, "lite0"), 4).eval()
    set_stem(model, "lite0")
    batch = draw_batch(
        source, MolmoProcessor(train_tokenizer(512), LAYOUT), token_places(0, 0, LAYOUT), 6, 1, np.random.default_rng(2)
    )
    wanted = image_vectors(teacher, batch)

    def explained() -> float:
        off = image_vectors(model, batch) - wanted
        return 1 - float((off**2).mean() / (wanted - wanted.mean((0, 1))).square().mean())

    before = explained()
    transplant(model, teacher, source, LAYOUT, pictures=24)
    assert before < 0.2 < explained()
    for name, tensor in teacher.state_dict().items():
        if ".transformer.blocks" in name or "image_projector" in name:
            assert torch.equal(model.state_dict()[name], tensor), name
    torch.manual_seed(0)
    heads = AuxiliaryHeads(model.config, SIZE.attention_layers, source.classes)
    alone = seeing_losses(model, heads, batch, heads_alone=True)
    torch.stack(list(alone.values())).sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.grad is not None for parameter in (*heads.patch.parameters(), *heads.position.parameters()))
