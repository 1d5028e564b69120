"""Checks of the inputs of ``forward``, before a mismatch becomes an index error; all raise InputError."""

import torch

from molmo_point.errors import InputError
from molmo_point.model.architecture.config import MolmoConfig, MolmoVisionConfig

_PROCESSOR = "pass what MolmoProcessor returns, unchanged"


def check_ids(input_ids: torch.Tensor, config: MolmoConfig) -> None:
    """Check that token ids are whole numbers (batch, length) with a row in the embedding; −1 is padding."""
    if input_ids.ndim != 2 or input_ids.shape[1] == 0 or input_ids.dtype.is_floating_point:
        raise InputError(
            "input_ids must be whole numbers of shape (batch, length)",
            f"{input_ids.dtype}, shape {tuple(input_ids.shape)}",
            "for one sequence add a batch dimension: input_ids[None]",
        )
    assert config.embedding_size is not None
    rows = config.embedding_size + config.additional_vocab_size
    _check_below("input_ids", input_ids, rows, "embedding rows", "use the tokenizer of the same checkpoint")


def check_images(
    images: torch.Tensor | None,
    image_masks: torch.Tensor | None,
    image_input_idx: torch.Tensor | None,
    text_shape: torch.Size,
    config: MolmoConfig,
) -> None:
    """Check the three image tensors: all or none, in the official shapes, with positions inside the sequence.

    The shapes are (batch, crops, patches, 3·patch²), (batch, crops, patches) and (batch, crops, tokens), for text (batch,
    length).
    """
    given = {"images": images, "image_masks": image_masks, "image_input_idx": image_input_idx}
    if images is None or image_masks is None or image_input_idx is None:
        missing = [name for name, tensor in given.items() if tensor is None]
        if len(missing) < len(given):
            present = ", ".join(name for name in given if name not in missing)
            raise InputError("An image must be three tensors", f"{present} without {', '.join(missing)}", _PROCESSOR)
        return
    vision = config.vision_config
    assert isinstance(vision, MolmoVisionConfig)
    batch, length = text_shape
    crops = images.shape[1] if images.ndim > 1 else 0
    patches = vision.patches_per_side**2
    for name, tensor, shape in (
        ("images", images, (batch, crops, patches, 3 * vision.patch_size**2)),
        ("image_masks", image_masks, (batch, crops, patches)),
        ("image_input_idx", image_input_idx, (batch, crops, vision.tokens_per_side**2)),
    ):
        if tuple(tensor.shape) != shape:
            fix = "add a batch dimension: images[None], …" if tensor.ndim == len(shape) - 1 else _PROCESSOR
            raise InputError(f"{name} must have the shape {shape}", f"{tuple(tensor.shape)}", fix)
    if not images.dtype.is_floating_point or image_input_idx.dtype.is_floating_point:
        what = "images must be floating point and image_input_idx must be integers"
        raise InputError(what, f"images {images.dtype}, image_input_idx {image_input_idx.dtype}", _PROCESSOR)
    _check_below("image_input_idx", image_input_idx, length, "tokens", "do not truncate the ids of an image")


def _check_below(name: str, values: torch.Tensor, limit: int, counted: str, fix: str) -> None:
    if values.numel() and int(values.max()) >= limit:
        raise InputError(f"{name} must be below {limit}, the number of {counted}", f"{int(values.max())}", fix)


def check_mask(attention_mask: torch.Tensor, batch: int, length: int, past: int, kv_length: int) -> None:
    """Check a padding mask (batch, past + length), or longer up to ``kv_length`` for a preallocated cache."""
    shape = tuple(attention_mask.shape)
    if len(shape) == 2 and shape[0] == batch and past + length <= shape[1] <= kv_length:
        return
    raise InputError(
        f"attention_mask must have the shape ({batch}, {past + length})",
        f"{shape} for {batch} rows of {past} cached and {length} new tokens",
        "pass that shape, or omit it if nothing is padded",
    )


def check_pattern(pattern: torch.Tensor, batch: int, length: int, kv_length: int | None) -> None:
    """Check a ready attention pattern (batch or 1, 1, length, keys); None accepts any number of keys from ``length``."""
    rows, heads, queries, keys = pattern.shape
    if rows in (1, batch) and heads == 1 and queries == length and keys >= length and kv_length in (None, keys):
        return
    wanted = f"({batch}, 1, {length}, {'keys' if kv_length is None else kv_length})"
    raise InputError(f"The attention pattern must have the shape {wanted}", f"{tuple(pattern.shape)}", "pass that shape")


def check_positions(position_ids: torch.Tensor, inputs_embeds: torch.Tensor) -> None:
    """Check position ids (batch or 1, length) for embeddings (batch, length, hidden)."""
    batch, length = inputs_embeds.shape[:2]
    shape = tuple(position_ids.shape)
    if shape not in ((batch, length), (1, length)):
        raise InputError(f"position_ids must have the shape ({batch}, {length})", f"{shape}", "pass that shape, or omit them")


def check_labels(labels: torch.Tensor, logits: torch.Tensor) -> None:
    """Check labels (batch, length) for logits (batch, length, rows of the head); negative labels have no loss."""
    if labels.shape != logits.shape[:2]:
        given = f"{tuple(labels.shape)}, not {tuple(logits.shape[:2])}"
        raise InputError("labels must have the shape of the tokens", given, "pass one label per token, and no logits_to_keep")
    _check_below("labels", labels, logits.shape[-1], "rows of the head", "set the labels of image tokens to -100")
