"""A reference with the wastes of the official code, each with a switch; for comparison only.

It uses the weights of a `MolmoForCausalLM` and gives its logits. What it does besides: it joins the
two embedding tables for every pass, grows the cache by concatenation and repeats keys and values
for every head, adds a dense float mask, runs the vision block that nobody reads, keeps the output of
every vision block, and projects pooled tokens that are thrown away.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from molmo_point.model.architecture.language import DecoderBlock, rotary_tables
from molmo_point.model.decoding.kv_cache import KeyValueCache


@dataclass(frozen=True)
class Wastes:
    """Switches of the wastes.

    Attributes:
        embedding: The embedding tables are joined in every pass.
        cache: The cache grows by concatenation; keys and values are repeated for every head.
        bias: A dense float mask in every pass, also where plain causal attention would do.
        vision: All vision blocks run and all their outputs are kept.
        connector: All pooled tokens are projected, also those without a place in the sequence.
        image: Crops are made by the official recipe.
    """

    embedding: bool = True
    cache: bool = True
    bias: bool = True
    vision: bool = True
    connector: bool = True
    image: bool = True


class NaiveMolmo:
    """One sequence at a time, with the wastes that are on.

    Args:
        model: `MolmoForCausalLM`, in eval mode; its weights are used, not copied.
        wastes: What to waste.
        capacity: Most positions of a sequence; None takes the model's own limit.
    """

    def __init__(self, model: Any, wastes: Wastes | None = None, capacity: int | None = None) -> None:
        self.model = model
        self.wastes = wastes or Wastes()
        self.capacity = capacity or int(model.config.max_position_embeddings)
        self._past: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._static = KeyValueCache(self.capacity)
        self._bias: torch.Tensor | None = None
        self._length = 0

    def reset(self) -> None:
        """Forgets the sequence."""
        self._past, self._static, self._length = [], KeyValueCache(self.capacity), 0

    @torch.inference_mode()
    def logits(self, ids: torch.Tensor, image: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
        """Logits (1, vocabulary) behind the last of ``ids`` (1, n), which follow what was read before.

        Args:
            ids: Token ids.
            image: ``images``, ``image_masks`` and ``image_input_idx`` of the sequence's image, with
                the ids that hold its places.
        """
        x = self.embed(ids, image)
        hidden = self.decode(x)
        return self.model.model.transformer["ff_out"](hidden[:, -1])

    def embed(self, ids: torch.Tensor, image: dict[str, torch.Tensor] | None) -> torch.Tensor:
        """Embeddings (1, n, hidden), image vectors added."""
        table = self.model.model.transformer["wte"]
        if self.wastes.embedding:
            x = F.embedding(ids, torch.cat([table.embedding, table.new_embedding], dim=0))
        else:
            x = table(ids)
        if image is None:
            return x
        vectors = self.image_vectors(self.features(image), image["image_input_idx"])
        places = image["image_input_idx"].flatten()
        x = x.clone()
        x[0, places[places >= 0].long()] += vectors.to(x)
        return x

    def features(self, image: dict[str, torch.Tensor]) -> torch.Tensor:
        """Patch features (crops, patches, 2·width) with the padding embedding."""
        backbone = self.model.model.vision_backbone
        images, masks = image["images"].flatten(0, 1), image["image_masks"].flatten(0, 1)
        if not self.wastes.vision:
            return backbone.encode(images, masks)
        vit = backbone.image_vit
        x = vit.patch_embedding(images.to(backbone.pad_embed.dtype))
        x = torch.cat([vit.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], dim=1)
        x = vit.pre_ln(x + vit.positional_embedding.to(x.dtype))
        kept = []
        for block in vit.transformer.resblocks:
            x = block(x)
            kept.append(x)
        features = torch.cat([kept[layer] for layer in vit.config.feature_layers], dim=-1)[:, 1:]
        nothing = (masks == 0)[..., None].to(features.dtype)
        partly = ((masks < 1) & (masks != 0))[..., None].to(features.dtype)
        return features + backbone.pad_embed[0] * nothing + backbone.pad_embed[1] * partly

    def image_vectors(self, features: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Vectors (used tokens, hidden) of the pooled tokens that have a place."""
        backbone = self.model.model.vision_backbone
        pooled, keep = backbone.pool(features), places.flatten(0, 1) >= 0
        if self.wastes.connector:
            return backbone.image_projector(pooled)[keep]
        return backbone.image_projector(pooled[keep])

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """Hidden states (1, n, hidden) of embeddings that follow what was read before."""
        config, transformer = self.model.config, self.model.model.transformer
        new, start = x.shape[1], self._length
        positions = torch.arange(start, start + new, device=x.device)[None]
        rotary = rotary_tables(positions, config.head_dim, config.rope_theta)
        bias = self._dense_bias(start + new, x) if self.wastes.bias else None
        for block in transformer["blocks"]:
            x = self._block(block, x, rotary, bias)
        if not self.wastes.cache:
            self._static.accept([range(new)])
        self._length += new
        return transformer["ln_f"](x)

    def _dense_bias(self, total: int, x: torch.Tensor) -> torch.Tensor:
        if self._bias is None:
            everything = torch.full((self.capacity, self.capacity), torch.finfo(torch.float32).min, device=x.device)
            self._bias = everything.triu(1)[None, None]
        return self._bias[:, :, :total, :total].to(torch.float32, copy=True)

    def _block(
        self, block: DecoderBlock, x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], bias: torch.Tensor | None
    ) -> torch.Tensor:
        if block.norm_after:
            x = x + block.attn_norm(self._attend(block, x, rotary, bias))
            return x + block.ff_norm(block.feed_forward(x))
        x = x + self._attend(block, block.attn_norm(x), rotary, bias)
        return x + block.feed_forward(block.ff_norm(x))

    def _attend(
        self, block: DecoderBlock, x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], bias: torch.Tensor | None
    ) -> torch.Tensor:
        q, k, v = block.project_qkv(x, rotary)
        new = q.shape[2]
        if self.wastes.cache:
            k, v = self._grown(block.layer_index, k, v)
            groups = q.shape[1] // k.shape[1]
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        else:
            k, v = self._static.update(k, v, block.layer_index)
        total = k.shape[2]
        mask = None if bias is None else bias[:, :, total - new : total, :total].to(q.dtype)
        causal = mask is None and new > 1
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=not self.wastes.cache)
        return block.attn_out(out.transpose(1, 2).flatten(2))

    def _grown(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if layer == len(self._past):
            self._past.append((k, v))
        else:
            old_k, old_v = self._past[layer]
            self._past[layer] = torch.cat([old_k, k], dim=2), torch.cat([old_v, v], dim=2)
        return self._past[layer]
