"""A stem in the place of a trained image encoder: decoder, connector and last vision blocks stay.

Least squares on unlabeled training pictures make the new encoder answer as much like the old one as a linear map can. So
training starts near the accuracy of the old model, not from nothing.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from lab.training.batches import image_tensors
from lab.training.views import ViewSource
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.vision import VisionTransformer
from molmo_point.model.inputs.preprocess import ImageLayout
from molmo_point.model.taught.feature_network import load_feature_network

PICTURES = 240
_SEED, _AT_ONCE, _DECAY = 71, 12, 3.0


def set_stem(model: MolmoForCausalLM, name: str) -> None:
    """Put the weights of a feature network of the package into the stem of a model."""
    stem = model.model.vision_backbone.image_vit.stem
    assert stem is not None
    stem.network.load_state_dict(load_feature_network(name).state_dict())


@torch.no_grad()
def transplant(
    model: MolmoForCausalLM, teacher: MolmoForCausalLM, source: ViewSource, layout: ImageLayout, pictures: int = PICTURES
) -> None:
    """Give a model with a stem the decoder, connector and last vision blocks of a trained one.

    Args:
        model: Model with a stem that has its weights; widths and decoder are those of the teacher.
        teacher: Trained model without a stem.
        source: Training pictures.
        layout: Layout of both models.
        pictures: Number of pictures to fit on.
    """
    state = {name: tensor for name, tensor in teacher.state_dict().items() if ".image_vit." not in name}
    model.load_state_dict(state, strict=False)
    new, old = model.model.vision_backbone, teacher.model.vision_backbone
    depth, late = new.vision.num_hidden_layers, old.vision.feature_layers[0]
    for kept, taken in zip(new.image_vit.transformer.resblocks, old.image_vit.transformer.resblocks[late + 1 - depth : late + 1]):
        kept.load_state_dict(taken.state_dict())
    shown = torch.cat(list(_pictures(source, layout, pictures)))
    streams = _in_parts(lambda x: _stream(old.image_vit, x, late - depth), shown)
    assert new.image_vit.stem is not None
    _fit_input(new.image_vit, _in_parts(new.image_vit.stem, shown), streams)
    answers, wanted = _in_parts(new.image_vit, shown), _in_parts(old.image_vit, shown)
    matrix, offset = _least_squares(answers.flatten(0, 1), wanted.flatten(0, 1))
    # Every patch of an overview counts as partly padded, because its mask is unknown.
    offset = offset + old.pad_embed[1]
    new.pad_embed.zero_()
    for name in ("wq", "wk", "wv"):
        layer, taken = (backbone.image_pooling_2d.get_submodule(name) for backbone in (new, old))
        layer.weight.copy_(taken.weight @ matrix.T)
        layer.bias.copy_(taken.bias + taken.weight @ offset)


def _pictures(source: ViewSource, layout: ImageLayout, count: int) -> Iterator[torch.Tensor]:
    rng = np.random.default_rng(_SEED)
    for _ in range(0, count, _AT_ONCE):
        yield image_tensors([source.draw(rng).color for _ in range(_AT_ONCE)], layout, rng)[:, 0]


def _in_parts(function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    return torch.cat([function(part) for part in images.split(_AT_ONCE)])


def _stream(encoder: VisionTransformer, patches: torch.Tensor, last: int) -> torch.Tensor:
    """Return what flows out of block ``last``: (n, 1 + patches, width), the class token first."""
    x = encoder.patch_embedding(patches)
    x = torch.cat([encoder.class_embedding.expand(len(x), 1, -1), x], dim=1) + encoder.positional_embedding
    x = encoder.pre_ln(x)
    for block in encoder.transformer.resblocks[: last + 1]:
        x = block(x)
    return x


def _fit_input(encoder: VisionTransformer, features: torch.Tensor, streams: torch.Tensor) -> None:
    """Let the input of the first block be as near as possible to ``streams``, by embedding, positions and norm."""
    of_patches = streams[:, 1:]
    middle, spread = of_patches.mean((0, 1)), of_patches.std((0, 1))
    encoder.pre_ln.weight.copy_(spread)
    encoder.pre_ln.bias.copy_(middle)
    wanted = (of_patches - middle) / spread
    # Positions take what is the same in all pictures, the embedding what differs.
    here, there = features - features.mean(0), wanted - wanted.mean(0)
    matrix, _ = _least_squares(here.flatten(0, 1), there.flatten(0, 1))
    encoder.patch_embedding.weight.copy_(matrix.T)
    encoder.positional_embedding[1:] = wanted.mean(0) - features.mean(0) @ matrix
    encoder.positional_embedding[0] = 0.0
    encoder.class_embedding.copy_((streams[:, 0].mean(0) - middle) / spread)


def _least_squares(inputs: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return matrix (in, out) and offset (out,) of a ridge regression."""
    middle, level = inputs.mean(0), outputs.mean(0)
    centered = (inputs - middle).double()
    gram = centered.T @ centered
    gram += _DECAY * gram.diagonal().mean() / len(inputs) ** 0.5 * torch.eye(len(gram), dtype=gram.dtype)
    matrix = torch.linalg.solve(gram, centered.T @ (outputs - level).double()).float()
    return matrix, level - middle @ matrix
