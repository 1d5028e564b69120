"""Molmo v1 as a transformers model."""

from typing import Any, cast

import torch
from torch import nn
from transformers import Cache, DynamicCache, GenerationMixin, LogitsProcessorList
from transformers.core_model_loading import WeightTransform
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple

from molmo_point.errors import InputError
from molmo_point.model.architecture.config import MolmoConfig
from molmo_point.model.architecture.connector import VisionBackbone
from molmo_point.model.architecture.input_checks import (
    check_ids,
    check_images,
    check_labels,
    check_mask,
    check_pattern,
    check_positions,
)
from molmo_point.model.architecture.language import DecoderBlock, RMSNorm, TokenEmbedding, rotary_tables
from molmo_point.model.checkpoint.strict_loading import StrictLoading
from molmo_point.model.checkpoint.tensor_names import conversions_on_saving, register_names
from molmo_point.model.decoding.finite_answers import FiniteLogits


class MolmoPreTrainedModel(StrictLoading):
    """Declarations for transformers: names, initialization, and modules that must not be split."""

    config: MolmoConfig
    config_class = MolmoConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")  # pyright: ignore[reportAssignmentType]
    _no_split_modules = ["DecoderBlock", "VisionBackbone", "TokenEmbedding"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    # transformers stores here the conversions used while loading, and reverts them when saving. This one
    # depends on the flavor alone, so a model saves the same names wherever it was loaded from.
    @property
    def _weight_conversions(self) -> list[WeightTransform]:
        return conversions_on_saving(self.config.num_experts)

    @_weight_conversions.setter
    def _weight_conversions(self, used: Any) -> None:
        pass

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        for name, parameter in module.named_parameters(recurse=False):
            if name in {"embedding", "new_embedding", "class_embedding", "positional_embedding"}:
                nn.init.normal_(parameter, std=std)
            elif name == "pad_embed":
                nn.init.zeros_(parameter)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Refuse another size with an InputError: the rows of the image tokens follow the base table."""
        rows = self.config.embedding_size
        if new_num_tokens is None or new_num_tokens == rows:
            return self.get_input_embeddings()
        raise InputError(
            f"new_num_tokens must be {rows}: Molmo's embeddings cannot be resized",
            f"{new_num_tokens}, with {self.config.additional_vocab_size} rows for image tokens behind {rows}",
            f"give new tokens ids below {rows} that the tokenizer does not use",
        )


class MolmoModel(MolmoPreTrainedModel):
    """Decoder, image encoder and head, grouped as in the released files."""

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
        """Embed tokens and add the image vectors at their positions: (batch, length, hidden); InputError on a mismatch."""
        check_images(images, image_masks, image_input_idx, input_ids.shape, self.config)
        x = self.transformer["wte"](input_ids.clamp(min=0))
        if images is None:
            return x
        assert image_masks is not None and image_input_idx is not None
        keep = image_input_idx >= 0
        vectors = self.vision_backbone(images.flatten(0, 1), image_masks.flatten(0, 1), keep.flatten(0, 1))
        rows = torch.arange(len(keep), device=keep.device)[:, None, None].expand_as(keep)[keep]
        # A device map may put the vision backbone and the embedding on different devices.
        places = rows.to(x.device), image_input_idx[keep].to(x.device, torch.long)
        return x.index_put(places, vectors.to(x), accumulate=True)

    def forward(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor,
        past_key_values: Cache | None,
    ) -> torch.Tensor:
        """Compute the hidden states (batch, length, hidden) after the final norm."""
        config = self.config
        mask = attention_pattern(attention_mask, inputs_embeds, past_key_values)
        rotary = rotary_tables(position_ids, config.head_dim, config.rope_theta)
        x = inputs_embeds
        for block in cast(nn.ModuleList, self.transformer["blocks"]):
            x = block(x, mask, rotary, past_key_values=past_key_values)
        return self.transformer["ln_f"](x)


def attention_pattern(
    attention_mask: torch.Tensor | None, inputs_embeds: torch.Tensor, cache: Cache | None
) -> torch.Tensor | None:
    """Build the attention pattern (batch or 1, 1, length, keys) bool; None means plain causal attention.

    Args:
        attention_mask: None, (batch, past + length) with 0 for padding, or a ready pattern (batch or 1, 1, length, keys):
            bool, True for "may attend", or floating point to add, 0 for "may attend".
        inputs_embeds: (batch, length, hidden) of the new positions.
        cache: Key-value cache without the new positions; a preallocated one counts all its slots as keys.

    Raises:
        InputError: The mask has neither shape.
    """
    batch, length, _ = inputs_embeds.shape
    preallocated = isinstance(cache, Cache)
    if attention_mask is not None and attention_mask.ndim == 4:
        # This path serves compiled decoding, so it reads nothing back from a GPU.
        check_pattern(attention_mask, batch, length, cache.get_mask_sizes(length, 0)[0] if preallocated else None)
        return attention_mask == 0 if attention_mask.is_floating_point() else attention_mask.bool()
    past = int(cache.get_seq_length()) if cache is not None else 0
    keys = cache.get_mask_sizes(length, 0)[0] if preallocated else past + length
    if attention_mask is not None:
        check_mask(attention_mask, batch, length, past, keys)
    padded = attention_mask is not None and not bool(attention_mask.all())
    if not padded and keys == past + length and (past == 0 or length == 1):
        return None
    causal = torch.ones(length, keys, dtype=torch.bool, device=inputs_embeds.device).tril(past)
    if not padded:
        return causal[None, None]
    assert attention_mask is not None
    # Empty slots of a preallocated cache lie in the future of every token.
    real = nn.functional.pad(attention_mask.bool(), (0, keys - attention_mask.shape[1]))
    # A padding row that attends nowhere would be NaN. It attends to itself, and its output is unused.
    itself = torch.eye(keys, dtype=torch.bool, device=causal.device)[past : past + length]
    return (causal & real[:, None, None, :]) | itself


class MolmoForCausalLM(MolmoPreTrainedModel, GenerationMixin):
    """Molmo v1 with its language-model head; `forward` takes the official tensors in their official shapes."""

    is_whole = True
    _tied_weights_keys: dict[str, str] = {}

    def __init__(self, config: MolmoConfig) -> None:
        super().__init__(config)
        self.model = MolmoModel(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.transformer["wte"]

    def get_output_embeddings(self) -> nn.Module:
        return self.model.transformer["ff_out"]

    @can_return_tuple
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
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Compute the logits (b, n, rows of the head) of the next token.

        Args:
            input_ids: (b, n) token ids; −1 is padding, which is masked and has no position.
            attention_mask: (b, past + n) with 0 for padding, or a pattern (b or 1, 1, n, keys); None masks ids of −1.
            position_ids: (b, n) positions; None counts the real tokens from 0.
            images: (b, crops, patches, 3·patch²) normalized pixels; only with the ids that hold the positions of the image.
            image_masks: (b, crops, patches) fraction of each patch that is image; −1 if unknown.
            image_input_idx: (b, crops, tokens) position of every image vector in ``input_ids``; negative means unused.
            past_key_values: Cache to read and to extend.
            inputs_embeds: (b, n, hidden) that replaces ids and image.
            labels: (b, n) ids aligned with ``input_ids``, each compared with the logits before it; negative ones have no loss.
            use_cache: True creates a cache if none is given.
            logits_to_keep: Number of last positions to compute logits for; 0 means all.
            **kwargs: ``num_items_in_batch`` divides the loss; all others are ignored.

        Raises:
            InputError: The inputs do not match each other or the model.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if inputs_embeds is None:
            attention_mask = self._mask_of_ids(input_ids, attention_mask, past_key_values)
            inputs_embeds = self.model.embed(cast(torch.Tensor, input_ids), images, image_masks, image_input_idx)
        elif input_ids is not None or images is not None:
            raise InputError("inputs_embeds must be given without ids and images", "both", "pass one of them")
        if position_ids is None:
            position_ids = default_positions(inputs_embeds, attention_mask, past_key_values)
        else:
            check_positions(position_ids, inputs_embeds)
        hidden = self.model(inputs_embeds, attention_mask, position_ids, past_key_values)
        logits = self.model.transformer["ff_out"](hidden[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            check_labels(labels, logits)
            # the official collator pads labels with −1
            labels = labels.masked_fill(labels < 0, -100)
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1], **kwargs)
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=past_key_values)

    def _mask_of_ids(
        self, input_ids: torch.Tensor | None, attention_mask: torch.Tensor | None, cache: Cache | None
    ) -> torch.Tensor | None:
        """Check the ids, and return the given mask or the mask of ids of −1."""
        if input_ids is None:
            raise InputError("input_ids must be given", "neither input_ids nor inputs_embeds", "pass input_ids")
        # Only at the start of a sequence: reading values back would stall every step on a GPU.
        if cache is None or (input_ids.shape[-1] > 1 and int(cache.get_seq_length()) == 0):
            check_ids(input_ids, self.config)
            if attention_mask is None and bool((input_ids < 0).any()):
                return input_ids >= 0
        return attention_mask

    def generate(
        self, inputs: Any = None, generation_config: Any = None, logits_processor: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Generate as transformers does; CheckpointError if the model computes logits that are not finite."""
        steps = LogitsProcessorList([*(logits_processor or ()), FiniteLogits(self)])
        return super().generate(inputs, generation_config, steps, *args, **kwargs)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, **kwargs: Any) -> dict[str, Any]:
        """Drop the image after the prefill, since the cache holds its vectors then."""
        inputs = super().prepare_inputs_for_generation(input_ids, **kwargs)
        cache = inputs.get("past_key_values")
        if cache is not None and cache.get_seq_length() > 0:
            for name in ("images", "image_masks", "image_input_idx"):
                inputs.pop(name, None)
        return inputs


Molmo = MolmoForCausalLM
"""Public name; ``MolmoForCausalLM`` is the name in the released ``config.json``."""


def default_positions(inputs_embeds: torch.Tensor, attention_mask: torch.Tensor | None, cache: Cache | None) -> torch.Tensor:
    """Positions (batch, length): the running count of real tokens, as in the reference."""
    batch, length = inputs_embeds.shape[:2]
    if attention_mask is not None and attention_mask.ndim == 2:
        return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]
    past = cache.get_seq_length() if cache is not None else 0
    return torch.arange(past, past + length, device=inputs_embeds.device).expand(batch, -1)


register_names(MolmoConfig.model_type)
