"""Molmo v1 as a transformers model: ``forward`` reads as the architecture."""

from typing import Any, cast

import torch
from torch import nn
from transformers import Cache, DynamicCache, GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

from molmo_point.model.config import MolmoConfig
from molmo_point.model.connector import VisionBackbone
from molmo_point.model.language import DecoderBlock, RMSNorm, TokenEmbedding, rotary_tables
from molmo_point.model.strict_loading import StrictLoading


class MolmoPreTrainedModel(StrictLoading):
    """What transformers needs to know: names, initialisation, what not to split."""

    config: MolmoConfig
    config_class = MolmoConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")  # pyright: ignore[reportAssignmentType]
    _no_split_modules = ["DecoderBlock", "VisionBlock"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        for name, parameter in module.named_parameters(recurse=False):
            if name in {"embedding", "new_embedding", "class_embedding", "positional_embedding"}:
                nn.init.normal_(parameter, std=std)
            elif name == "pad_embed":
                nn.init.zeros_(parameter)


class MolmoModel(MolmoPreTrainedModel):
    """Image and text in, logits out; the head belongs to it, as in the released files."""

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__(config)
        assert config.embedding_size is not None
        self.transformer = nn.ModuleDict(
            {
                "wte": TokenEmbedding(config),
                "blocks": nn.ModuleList(DecoderBlock(config, i) for i in range(config.num_hidden_layers)),
                "ln_f": RMSNorm(config.hidden_size, config.layer_norm_eps),
                "ff_out": nn.Linear(config.hidden_size, config.embedding_size, bias=False),
            }
        )
        self.vision_backbone = VisionBackbone(config)
        self.post_init()

    def embed(
        self,
        input_ids: torch.Tensor,
        images: torch.Tensor | None,
        image_masks: torch.Tensor | None,
        image_input_idx: torch.Tensor | None,
    ) -> torch.Tensor:
        """Token embeddings with the image vectors added at their places, (batch, length, hidden)."""
        x = self.transformer["wte"](input_ids.clamp(min=0))
        if images is None:
            return x
        assert image_masks is not None and image_input_idx is not None
        keep = image_input_idx >= 0
        vectors = self.vision_backbone(images.flatten(0, 1), image_masks.flatten(0, 1), keep.flatten(0, 1))
        rows = torch.arange(len(keep), device=keep.device)[:, None, None].expand_as(keep)[keep]
        return x.index_put((rows, image_input_idx[keep].long()), vectors.to(x.dtype), accumulate=True)

    def forward(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor,
        past_key_values: Cache | None,
    ) -> torch.Tensor:
        """Hidden states (batch, length, hidden) after the final norm."""
        config = self.config
        mask = attention_pattern(attention_mask, inputs_embeds, past_key_values)
        rotary = rotary_tables(position_ids, config.head_dim, config.rope_theta)
        x = inputs_embeds
        for block in cast(nn.ModuleList, self.transformer["blocks"]):
            x = block(x, mask, rotary, past_key_values)
        return self.transformer["ln_f"](x)


def attention_pattern(
    attention_mask: torch.Tensor | None, inputs_embeds: torch.Tensor, cache: Cache | None
) -> torch.Tensor | None:
    """Which position may attend to which, or None where plain causal attention does.

    Args:
        attention_mask: None, (batch, past + length) with 0 = padding, or a ready bool pattern
            (batch, 1, length, past + length) such as that of packed training rows.
        inputs_embeds: (batch, length, hidden), the new positions.
        cache: The key-value cache, before these positions enter it.

    Returns:
        (batch or 1, 1, length, past + length) bool, or None.
    """
    if attention_mask is not None and attention_mask.ndim == 4:
        return attention_mask.bool()
    length, device = inputs_embeds.shape[1], inputs_embeds.device
    past = cache.get_seq_length() if cache is not None else 0
    padded = attention_mask is not None and not bool(attention_mask.all())
    if not padded and (past == 0 or length == 1):
        return None
    total = past + length
    causal = torch.ones(length, total, dtype=torch.bool, device=device).tril(past)
    if not padded:
        return causal[None, None]
    assert attention_mask is not None
    allowed = causal[None, None] & attention_mask[:, None, None, :total].bool()
    # A padding row that may attend nowhere would be NaN: let it see itself; nobody reads it.
    return allowed | torch.eye(total, dtype=torch.bool, device=device)[None, None, past:]


class MolmoForCausalLM(MolmoPreTrainedModel, GenerationMixin):
    """Molmo v1 with its language-model head.

    ``forward`` takes the official tensors in their official shapes: ``input_ids`` (b, n),
    ``images`` (b, crops, patches, 3·patch²), ``image_masks`` (b, crops, patches),
    ``image_input_idx`` (b, crops, tokens; negative = not used), and returns ``logits``.
    """

    _tied_weights_keys: dict[str, str] = {}

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__(config)
        self.model = MolmoModel(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.transformer["wte"]

    def get_output_embeddings(self) -> nn.Module:
        return self.model.transformer["ff_out"]

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        images: torch.Tensor | None = None,
        image_masks: torch.Tensor | None = None,
        image_input_idx: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the next token; see the class for shapes. ``labels`` are not shifted here."""
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = self.model.embed(input_ids, images, image_masks, image_input_idx)
        if position_ids is None:
            position_ids = default_positions(inputs_embeds, attention_mask, past_key_values)
        hidden = self.model(inputs_embeds, attention_mask, position_ids, past_key_values)
        logits = self.model.transformer["ff_out"](hidden[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=past_key_values)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **kwargs: Any) -> dict[str, Any]:
        """Drops the image after the prefill: its vectors are in the cache by then."""
        inputs = super().prepare_inputs_for_generation(input_ids, **kwargs)
        cache = inputs.get("past_key_values")
        if cache is not None and cache.get_seq_length() > 0:
            for name in ("images", "image_masks", "image_input_idx"):
                inputs.pop(name, None)
        return inputs


Molmo = MolmoForCausalLM
"""The public name; the long one is that of the released ``config.json``."""


def default_positions(inputs_embeds: torch.Tensor, attention_mask: torch.Tensor | None, cache: Cache | None) -> torch.Tensor:
    """Positions (batch, length): running count of real tokens, as in the reference."""
    batch, length = inputs_embeds.shape[:2]
    if attention_mask is not None and attention_mask.ndim == 2:
        return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]
    past = cache.get_seq_length() if cache is not None else 0
    return torch.arange(past, past + length, device=inputs_embeds.device).expand(batch, -1)
