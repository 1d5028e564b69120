"""Inputs of ``forward`` that do not belong together are refused before they become an index error."""

import torch

from molmo_point.errors import InputError
from molmo_point.model.architecture.config import MolmoConfig, MolmoVisionConfig

_PROCESSOR = "pass what MolmoProcessor returns, unchanged"


def check_ids(input_ids: torch.Tensor, config: MolmoConfig) -> None:
    """Token ids (batch, length), −1 where there is padding.

    Raises:
        InputError: Another shape, no integers, or an id that the embedding has no row for.
    """
    if input_ids.ndim != 2 or input_ids.shape[1] == 0 or input_ids.dtype.is_floating_point:
        raise InputError(
            "input_ids must be whole numbers of shape (batch, length)",
            f"{input_ids.dtype}, shape {tuple(input_ids.shape)}",
            "for one sequence add a batch dimension: input_ids[None]",
        )
    assert config.embedding_size is not None
    rows = config.embedding_size + config.additional_vocab_size
    if int(input_ids.max()) >= rows:
        raise InputError(
            "A token id is not in the vocabulary",
            f"{int(input_ids.max())}, of {rows} rows",
            "use the tokenizer of the same checkpoint",
        )


def check_images(
    images: torch.Tensor | None,
    image_masks: torch.Tensor | None,
    image_input_idx: torch.Tensor | None,
    text_shape: torch.Size,
    config: MolmoConfig,
) -> None:
    """The three image tensors, in the official shapes, all or none.

    Args:
        images: (batch, crops, patches, 3·patch²).
        image_masks: (batch, crops, patches).
        image_input_idx: (batch, crops, tokens), places in the sequence; negative = not used.
        text_shape: (batch, length).
        config: Of the model.

    Raises:
        InputError: One is missing, the shapes differ from these, or a place is beyond the sequence.
    """
    given = {"images": images, "image_masks": image_masks, "image_input_idx": image_input_idx}
    missing = [name for name, tensor in given.items() if tensor is None]
    if images is None or image_masks is None or image_input_idx is None:
        if len(missing) < len(given):
            present = ", ".join(name for name in given if name not in missing)
            raise InputError("An image is three tensors", f"{present} without {', '.join(missing)}", _PROCESSOR)
        return
    vision = config.vision_config
    assert isinstance(vision, MolmoVisionConfig)
    batch, length = text_shape
    crops = images.shape[1] if images.ndim > 1 else 0
    patches = vision.patches_per_side**2
    wanted = {
        "images": (batch, crops, patches, 3 * vision.patch_size**2),
        "image_masks": (batch, crops, patches),
        "image_input_idx": (batch, crops, vision.tokens_per_side**2),
    }
    for name, shape in wanted.items():
        tensor = given[name]
        if tensor is not None and tuple(tensor.shape) != shape:
            fix = "add a batch dimension: images[None], …" if tensor.ndim == len(shape) - 1 else _PROCESSOR
            raise InputError(
                f"{name} has another shape than this model and batch need", f"{tuple(tensor.shape)}, not {shape}", fix
            )
    _check_values(images, image_input_idx, length)


def _check_values(images: torch.Tensor, image_input_idx: torch.Tensor, length: int) -> None:
    if not images.dtype.is_floating_point or image_input_idx.dtype.is_floating_point:
        raise InputError(
            "Pixels are normalised floating-point numbers and places are whole numbers",
            f"images {images.dtype}, image_input_idx {image_input_idx.dtype}",
            _PROCESSOR,
        )
    if image_input_idx.numel() and int(image_input_idx.max()) >= length:
        raise InputError(
            "image_input_idx points beyond the sequence",
            f"place {int(image_input_idx.max())}, of {length} tokens",
            "do not truncate the ids of an image",
        )


def check_mask(attention_mask: torch.Tensor, batch: int, length: int, past: int, kv_length: int) -> None:
    """A padding mask that fits the new tokens and those in the cache.

    Args:
        attention_mask: (batch, past + length) with 0 = padding; may be longer in a preallocated cache.
        batch: Rows.
        length: New tokens.
        past: Tokens in the cache.
        kv_length: Keys that attention will see.

    Raises:
        InputError: It does not fit.
    """
    shape = tuple(attention_mask.shape)
    if len(shape) == 2 and shape[0] == batch and past + length <= shape[1] <= kv_length:
        return
    raise InputError(
        "attention_mask has another shape than the sequence needs",
        f"{shape} for {batch} rows of {past} cached and {length} new tokens",
        f"pass ({batch}, {past + length}), or leave it out where nothing is padded",
    )


def check_pattern(pattern: torch.Tensor, batch: int, length: int, kv_length: int | None) -> None:
    """A ready attention pattern (batch or 1, 1, length, keys).

    Args:
        pattern: The pattern.
        batch: Rows.
        length: New tokens.
        kv_length: Keys; None = not known, any number from ``length`` on.

    Raises:
        InputError: Another shape.
    """
    rows, heads, queries, keys = pattern.shape
    if rows in (1, batch) and heads == 1 and queries == length and keys >= length and kv_length in (None, keys):
        return
    wanted = f"({batch}, 1, {length}, {'keys' if kv_length is None else kv_length})"
    raise InputError(
        "The attention pattern has another shape than the sequence needs", f"{tuple(pattern.shape)}", f"pass {wanted}"
    )


def check_positions(position_ids: torch.Tensor, inputs_embeds: torch.Tensor) -> None:
    """Position ids (batch or 1, length) for embeddings (batch, length, hidden).

    Raises:
        InputError: Another shape.
    """
    batch, length = inputs_embeds.shape[:2]
    shape = tuple(position_ids.shape)
    if shape != (batch, length) and shape != (1, length):
        raise InputError(
            "position_ids have another shape than the tokens", f"{shape}", f"pass ({batch}, {length}), or leave them out"
        )


def check_labels(labels: torch.Tensor, logits: torch.Tensor) -> None:
    """Labels for every place of the sequence.

    Args:
        labels: (batch, length); negative = no loss there.
        logits: (batch, length, rows of the head).

    Raises:
        InputError: Another shape, or a token that the head cannot give.
    """
    if labels.shape != logits.shape[:2]:
        raise InputError(
            "labels and logits differ in shape",
            f"{tuple(labels.shape)} and {tuple(logits.shape[:2])}",
            "pass one label per token, and no logits_to_keep",
        )
    if labels.numel() and int(labels.max()) >= logits.shape[-1]:
        raise InputError(
            "A label is a token that the head has no row for",
            f"{int(labels.max())}, of {logits.shape[-1]} rows",
            "set the labels of image tokens to -100",
        )
