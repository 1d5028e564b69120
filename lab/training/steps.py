"""The losses of one training step, in the two phases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from lab.training.batches import Batch
from lab.training.losses import AuxiliaryHeads, LookPlaces, SoftTokenLoss, attention_loss
from molmo_point.finetuning.packing import segment_mask
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.language import rotary_tables


def seeing_losses(
    model: MolmoForCausalLM,
    heads: AuxiliaryHeads,
    batch: Batch,
    heads_alone: bool = False,
) -> dict[str, torch.Tensor]:
    """Return the losses of phase one: image vectors must tell the objects at their places; the decoder is not run.

    Args:
        model: The model.
        heads: Read-outs.
        batch: Pictures.
        heads_alone: True trains the read-outs and nothing else.
    """
    backbone = model.model.vision_backbone
    features = backbone.encode(batch.images.flatten(0, 1), batch.image_masks.flatten(0, 1))
    vectors = backbone.image_projector(backbone.pool(features))
    if heads_alone:
        return _vision_losses(heads, features.detach(), vectors.detach(), batch)
    return _vision_losses(heads, features, vectors, batch)


def pointing_losses(
    model: MolmoForCausalLM,
    heads: AuxiliaryHeads,
    token_loss: SoftTokenLoss,
    batch: Batch,
    auxiliary_scale: float,
) -> dict[str, torch.Tensor]:
    """Return the losses of phase two: the answers, and the auxiliary losses times ``auxiliary_scale``."""
    inner = model.model
    backbone = inner.vision_backbone
    features = backbone.encode(batch.images.flatten(0, 1), batch.image_masks.flatten(0, 1))
    vectors = backbone.image_projector(backbone.pool(features))
    x = inner.transformer["wte"](batch.input_ids)
    image_places = batch.image_input_idx[0, 0].long()
    x = x.index_add(1, image_places, vectors)
    allowed = segment_mask(batch.segments)
    with block_inputs(model, (heads.mention_layer, *heads.attention_layers)) as inputs:
        hidden = inner(x, allowed, batch.position_ids, None)
    logits = inner.transformer["ff_out"](hidden)
    losses = {"token": token_loss(logits, batch.labels, batch.weights, batch.places)}
    auxiliary = _vision_losses(heads, features, vectors, batch)
    auxiliary["answer"] = heads.answer_loss(hidden, batch.places)
    looking = _Looking(model, inputs, allowed, batch.position_ids, image_places)
    each = [looking.loss(layer, 0, batch.looks) for layer in heads.attention_layers]
    auxiliary["attention"] = torch.stack(each).mean()
    auxiliary["mention"] = looking.loss(heads.mention_layer, 1, batch.mentions)
    losses |= {name: auxiliary_scale * value for name, value in auxiliary.items()}
    return losses


@contextmanager
def block_inputs(model: MolmoForCausalLM, layers: tuple[int, ...]) -> Iterator[dict[int, torch.Tensor]]:
    """Collect the inputs of some decoder blocks during a forward pass."""
    kept: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            kept[layer] = args[0]

        return hook

    blocks = model.model.transformer["blocks"]
    handles = [blocks[layer].register_forward_pre_hook(keep(layer)) for layer in layers]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _vision_losses(heads: AuxiliaryHeads, features: torch.Tensor, vectors: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
    patches, tokens = batch.patch_cells, batch.token_cells
    return {
        "class_patch": heads.class_loss(heads.patch(features), patches.classes, patches.filled),
        "outline": heads.outline_loss(features, patches.outline, patches.filled),
        "class_token": heads.class_loss(heads.token(vectors), tokens.classes, tokens.filled),
        "position": heads.position_loss(vectors, tokens.xy, tokens.filled),
    }


class _Looking:
    """Attention of heads to the places they are supervised to look at; see `attention_loss`."""

    def __init__(
        self,
        model: MolmoForCausalLM,
        inputs: dict[int, torch.Tensor],
        allowed: torch.Tensor,
        position_ids: torch.Tensor,
        image_places: torch.Tensor,
    ) -> None:
        self._model, self._inputs, self._allowed, self._image_places = model, inputs, allowed, image_places
        self._rotary = rotary_tables(position_ids, model.config.head_dim, model.config.rope_theta)

    def loss(self, layer: int, head: int, places: LookPlaces) -> torch.Tensor:
        """Return the loss of one head of one decoder block."""
        block = self._model.model.transformer["blocks"][layer]
        q, k, _ = block.project_qkv(block.attn_norm(self._inputs[layer]), self._rotary)
        return attention_loss(q[:, head], k[:, 0], self._allowed, places, self._image_places)
