"""Padding of sequences of different lengths and crop counts to one batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molmo_point.errors import InputError
from molmo_point.model.inputs.preprocess import PreparedImage

PADDING_SIDES = ("left", "right")
NO_PLACE = -100
PADDING = -1


@dataclass(frozen=True)
class TokenRow:
    """One sequence: token ids including those of the image, and the image or None."""

    ids: list[int]
    image: PreparedImage | None


def padded_batch(rows: Sequence[TokenRow], pad_id: int, side: str, length: int | None = None) -> dict[str, np.ndarray]:
    """Stack rows to a batch.

    Args:
        rows: One row or more.
        pad_id: Token id of padding; ``attention_mask`` is 0 there.
        side: ``"left"`` or ``"right"``; image positions move with their tokens.
        length: Number of tokens to pad to, at least the longest row's; None takes the longest row's.

    Returns:
        ``input_ids`` and ``attention_mask`` (batch, length) int64. If any row has an image, also ``images`` (batch, crops,
        patches, 3·patch²) and ``image_masks`` (batch, crops, patches) float32, −1 for missing crops as in the reference,
        and ``image_input_idx`` (batch, crops, tokens) int32, −100 without a position.

    Raises:
        InputError: The side is unknown.
    """
    if side not in PADDING_SIDES:
        raise InputError("padding_side must be 'left' or 'right'", repr(side), "use 'left' or 'right'")
    width = max(len(row.ids) for row in rows) if length is None else length
    ids = np.full((len(rows), width), pad_id, np.int64)
    attention = np.zeros((len(rows), width), np.int64)
    starts = [width - len(row.ids) if side == "left" else 0 for row in rows]
    for k, (row, start) in enumerate(zip(rows, starts)):
        ids[k, start : start + len(row.ids)] = row.ids
        attention[k, start : start + len(row.ids)] = 1
    return {"input_ids": ids, "attention_mask": attention, **_padded_images(rows, starts)}


def _padded_images(rows: Sequence[TokenRow], starts: list[int]) -> dict[str, np.ndarray]:
    prepared = [row.image for row in rows if row.image is not None]
    if not prepared:
        return {}
    if len(rows) == 1:  # nothing to pad: avoid a copy of 18 MB
        only = prepared[0]
        places = np.where(only.image_input_idx >= 0, only.image_input_idx + starts[0], NO_PLACE).astype(np.int32)
        return {"images": only.images[None], "image_masks": only.image_masks[None], "image_input_idx": places[None]}
    crops = max(len(image.images) for image in prepared)
    shape = (len(rows), crops)
    images = np.full((*shape, *prepared[0].images.shape[1:]), PADDING, np.float32)
    masks = np.full((*shape, prepared[0].image_masks.shape[1]), PADDING, np.float32)
    places = np.full((*shape, prepared[0].image_input_idx.shape[1]), NO_PLACE, np.int32)
    for k, (row, start) in enumerate(zip(rows, starts)):
        if row.image is not None:
            count = len(row.image.images)
            images[k, :count] = row.image.images
            masks[k, :count] = row.image.image_masks
            moved = row.image.image_input_idx + start
            places[k, :count] = np.where(row.image.image_input_idx >= 0, moved, NO_PLACE)
    return {"images": images, "image_masks": masks, "image_input_idx": places}
