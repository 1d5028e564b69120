"""Pieces of a mask: connected parts, and a place on each."""

import math

import numpy as np

from molmo_point.arrays import BoolArray
from molmo_point.teaching.masks.outline import import_cv2, largest_piece, widened

_NEAR_SHARE = 0.06
_CLICK_PX = 4.0


def pieces_of(found: BoolArray, least_share: float) -> list[BoolArray]:
    """Return the pieces of a mask, largest first; pieces near one another count as one.

    Args:
        found: Mask (h, w).
        least_share: Smallest share of the image that a piece must have.
    """
    if not found.any():
        return []
    size = math.sqrt(np.count_nonzero(largest_piece(found)))
    joined = widened(found, _NEAR_SHARE * size)
    count, labels = import_cv2().connectedComponents(joined.astype(np.uint8), connectivity=8)
    area = np.bincount(labels[found], minlength=count)
    return [(labels == number) & found for number in np.argsort(-area) if number and area[number] >= least_share * found.size]


def piece_at(pieces: list[BoolArray], uv: tuple[float, float]) -> BoolArray | None:
    """Return the piece at a pixel, or within a few pixels of it; None without one."""
    for piece in pieces:
        height, width = piece.shape
        if widened(piece, _CLICK_PX)[min(max(round(uv[1]), 0), height - 1), min(max(round(uv[0]), 0), width - 1)]:
            return piece
    return None


def place_in(piece: BoolArray, scale: float = 1.0) -> tuple[float, float]:
    """Return the pixel (u, v) deepest inside of a piece, in an image that is larger by a scale."""
    away = import_cv2().distanceTransform(np.pad(piece, 1).astype(np.uint8), 2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(away)), piece.shape)
    return (float(column) + 0.5) * scale - 0.5, (float(row) + 0.5) * scale - 0.5
