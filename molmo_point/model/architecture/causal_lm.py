"""Molmo v1 as a transformers model: ``forward`` reads as the architecture."""

from typing import Any, cast

import torch
from torch import nn
from transformers import Cache, DynamicCache, GenerationMixin
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


class MolmoPreTrainedModel(StrictLoading):
    """What transformers needs to know: names, initialisation, what not to split."""

    config: MolmoConfig
    config_class = MolmoConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")  # pyright: ignore[reportAssignmentType]
    _no_split_modules = ["DecoderBlock", "VisionBackbone", "TokenEmbedding"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    # transformers keeps here what it reverts when it saves: what was used while loading, if anything
    # was. Ours depends on the flavour alone, so that a model saves the same names wherever it came from.
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
        """Not possible: image tokens have a table of their own behind the base table.

        Raises:
            InputError: Whenever another size is asked for.
        """
        rows = self.config.embedding_size
        if new_num_tokens is None or new_num_tokens == rows:
            return self.get_input_embeddings()
        raise InputError(
            "Molmo's embeddings cannot be resized",
            f"{new_num_tokens} rows, there are {rows} and {self.config.additional_vocab_size} behind them for image tokens",
            f"give new tokens ids below {rows} that the tokenizer leaves unused",
        )


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
        """Token embeddings with the image vectors added at their places, (batch, length, hidden).

        Raises:
            InputError: The image tensors do not fit one another, the ids or the model.
        """
        check_images(images, image_masks, image_input_idx, input_ids.shape, self.config)
        x = self.transformer["wte"](input_ids.clamp(min=0))
        if images is None:
            return x
        assert image_masks is not None and image_input_idx is not None
        keep = image_input_idx >= 0
        vectors = self.vision_backbone(images.flatten(0, 1), image_masks.flatten(0, 1), keep.flatten(0, 1))
        rows = torch.arange(len(keep), device=keep.device)[:, None, None].expand_as(keep)[keep]
        # A device map may have the vision backbone elsewhere than the embedding.
        places = rows.to(x.device), image_input_idx[keep].to(x.device, torch.long)
        return x.index_put(places, vectors.to(x), accumulate=True)

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
            x = block(x, mask, rotary, past_key_values=past_key_values)
        return self.transformer["ln_f"](x)


def attention_pattern(
    attention_mask: torch.Tensor | None, inputs_embeds: torch.Tensor, cache: Cache | None
) -> torch.Tensor | None:
    """Which position may attend to which, or None where plain causal attention does.

    Args:
        attention_mask: None, (batch, past + length) with 0 = padding, or a ready pattern (batch or
            1, 1, length, keys): bool with True = may attend, such as that of packed training
            rows, or floating-point numbers to add, 0 = may attend.
        inputs_embeds: (batch, length, hidden), the new positions.
        cache: The key-value cache, before these positions enter it.

    Returns:
        (batch or 1, 1, length, keys) bool, or None. Keys are past + length, or all places of a
        preallocated cache.

    Raises:
        InputError: The mask fits neither shape.
    """
    batch, length, _ = inputs_embeds.shape
    preallocated = isinstance(cache, Cache)
    if attention_mask is not None and attention_mask.ndim == 4:
        # Nothing is read back from a GPU here: this is the path of compiled decoding.
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
    # Places of a preallocated cache that nothing was written to lie in the future of every token.
    real = nn.functional.pad(attention_mask.bool(), (0, keys - attention_mask.shape[1]))
    # A padding row that may attend nowhere would be NaN: let it see itself; nobody reads it.
    itself = torch.eye(keys, dtype=torch.bool, device=causal.device)[past : past + length]
    return (causal & real[:, None, None, :]) | itself


class MolmoForCausalLM(MolmoPreTrainedModel, GenerationMixin):
    """Molmo v1 with its language-model head.

    ``forward`` takes the official tensors in their official shapes: ``input_ids`` (b, n),
    ``images`` (b, crops, patches, 3·patch²), ``image_masks`` (b, crops, patches),
    ``image_input_idx`` (b, crops, tokens; negative = not used), and returns ``logits`` (b, n,
    rows of the head). Ids of −1 are padding: they are masked, and positions count the others.
    """

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
        """Logits of the next token; see the class for shapes.

        Args:
            input_ids: Token ids; −1 = padding.
            attention_mask: (b, past + n), 0 = padding, or a pattern (b or 1, 1, n, keys). None =
                no padding but ids of −1.
            position_ids: (b, n); None = running count of the real tokens, from 0.
            images: Normalised pixels; only with the ids that hold the image's places.
            image_masks: Share of each patch that is image; −1 where unknown.
            image_input_idx: The place of every image vector in ``input_ids``.
            past_key_values: Cache to read and to extend.
            inputs_embeds: (b, n, hidden), instead of ids and image.
            labels: (b, n) ids, as in ``input_ids``: the loss compares the logits of each place with
                the label of the next. Negative = no loss.
            use_cache: True makes a cache where none is given.
            logits_to_keep: Compute only the last so many logits; 0 = all.
            **kwargs: ``num_items_in_batch`` divides the loss; anything else is ignored.

        Raises:
            InputError: The inputs do not fit one another or the model.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if inputs_embeds is None:
            attention_mask = self._mask_of_ids(input_ids, attention_mask, past_key_values)
            inputs_embeds = self.model.embed(cast(torch.Tensor, input_ids), images, image_masks, image_input_idx)
        elif input_ids is not None or images is not None:
            raise InputError("inputs_embeds stand for ids and image", "both", "pass one of them")
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
        """Checks ids; the mask that was given, or that of ids of −1."""
        if input_ids is None:
            raise InputError("There is nothing to read", "neither input_ids nor inputs_embeds", "pass input_ids")
        # Only where a sequence starts: reading values back would hold up every step on a GPU.
        if cache is None or (input_ids.shape[-1] > 1 and int(cache.get_seq_length()) == 0):
            check_ids(input_ids, self.config)
            if attention_mask is None and bool((input_ids < 0).any()):
                return input_ids >= 0
        return attention_mask

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


register_names(MolmoConfig.model_type)
