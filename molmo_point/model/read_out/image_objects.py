"""Objects of an image: cells that vote for one middle belong to one object, which has one set of names."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from molmo_point.arrays import FloatArray
from molmo_point.model.read_out.read_out_network import CellMaps

_PRESENT = 0.5
_AGREE_CELLS = 0.8
"""Votes of neighbors within this distance mean one object."""
_SAME_SHARE, _SAME_CELLS = 0.55, 2.2
"""Pieces are one object if their middles are nearer than this share of its side, or than these cells."""
_WITHIN = 0.45
_LEAST_WEIGHT = 1.5
"""Cells that an object needs, by their presence."""
_DIVISIONS = ((_PRESENT, _AGREE_CELLS, True), (_PRESENT, _AGREE_CELLS, False), (0.2, _AGREE_CELLS, True), (_PRESENT, 0.4, False))
"""Ways to divide an image: least presence, agreement of neighbors, and True to join pieces with one middle."""
Cells: TypeAlias = tuple[NDArray[np.int64], ...]
"""Rows and columns of cells."""


@dataclass(frozen=True, eq=False)
class ImageObject:
    """One object as the read-out sees it.

    Attributes:
        u, v: A pixel on the object, near its middle.
        presence: Mean probability of its cells that they show an object.
        nouns: Log-odds of each noun.
        categories: Log-odds of each category.
        colors: Log-odds of each color word.
        box: Left, top, right and bottom in pixels.
        cells: Number of its cells.
    """

    u: float
    v: float
    presence: float
    nouns: FloatArray
    categories: FloatArray
    colors: FloatArray
    box: tuple[float, float, float, float]
    cells: int


def image_objects(maps: CellMaps) -> tuple[ImageObject, ...]:
    """Find the objects of an image, largest first."""
    pieces = _merged(maps, _joined(maps))
    found = [object_of(maps, piece) for piece in pieces if maps.presence[piece].sum() >= _LEAST_WEIGHT]
    return tuple(sorted(found, key=lambda each: -each.cells))


def _merged(maps: CellMaps, labels: NDArray[np.int64]) -> list[Cells]:
    """Return the cells of each object: pieces that vote for the same middle are parts of one, e.g. of one behind another."""
    order, counts = np.unique(labels[labels >= 0], return_counts=True)
    pieces: list[Cells] = []
    middles: list[NDArray[np.floating]] = []
    for label in order[np.argsort(-counts)]:
        inside = np.nonzero(labels == label)
        middle = np.average(maps.centers[inside], 0, maps.presence[inside])
        limits = [max(_SAME_SHARE * np.sqrt(len(piece[0])), _SAME_CELLS) * maps.cell_px for piece in pieces]
        apart = [np.linalg.norm(middle - other) / limit for other, limit in zip(middles, limits, strict=True)]
        nearest = int(np.argmin(apart)) if apart else -1
        if nearest >= 0 and apart[nearest] < 1:
            rows, columns = (np.concatenate(pair) for pair in zip(pieces[nearest], inside, strict=True))
            pieces[nearest] = (rows, columns)
        else:
            pieces.append(inside)
            middles.append(middle)
    return pieces


def candidate_pieces(maps: CellMaps) -> list[Cells]:
    """Return cells that may be one object each: as `image_objects` divides them, and also coarser and finer."""
    kept: dict[tuple[int, ...], Cells] = {}
    columns = maps.presence.shape[1]
    for present, agree, merges in _DIVISIONS:
        labels = _joined(maps, present, agree)
        pieces = _merged(maps, labels) if merges else [np.nonzero(labels == each) for each in np.unique(labels[labels >= 0])]
        for piece in pieces:
            if maps.presence[piece].sum() >= _LEAST_WEIGHT:
                kept.setdefault(tuple(np.sort(piece[0] * columns + piece[1]).tolist()), piece)
    return list(kept.values())


def _joined(maps: CellMaps, present: float = _PRESENT, agree_cells: float = _AGREE_CELLS) -> NDArray[np.int64]:
    """Label the cells of each object; −1 for none. Neighbors join if they vote for nearly the same middle."""
    on = maps.presence > present
    rows, columns = on.shape
    labels = np.where(on, np.arange(rows * columns).reshape(rows, columns), -1)
    limit = agree_cells * maps.cell_px
    pairs = []
    for a, b in (
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:], np.s_[:-1]),
        (np.s_[1:, 1:], np.s_[:-1, :-1]),
        (np.s_[1:, :-1], np.s_[:-1, 1:]),
    ):
        apart = np.linalg.norm(maps.centers[a] - maps.centers[b], axis=-1)
        pairs.append((a, b, on[a] & on[b] & (apart < limit)))
    while True:
        before = labels.copy()
        for a, b, joins in pairs:
            low = np.minimum(labels[a], labels[b])
            labels[a] = np.where(joins, low, labels[a])
            labels[b] = np.where(joins, np.minimum(low, labels[b]), labels[b])
        # A label names a cell of the same object, whose own label may be lower by now.
        flat = labels.ravel()
        flat[flat >= 0] = flat[flat[flat >= 0]]
        if (labels == before).all():
            return labels


def object_of(maps: CellMaps, inside: Cells) -> ImageObject:
    """Return the object of some cells."""
    weight = maps.presence[inside]
    share = weight / weight.sum()
    wanted = share @ maps.centers[inside]
    rows, columns = inside
    middles = np.stack([(columns + 0.5) * maps.cell_px - 0.5, (rows + 0.5) * maps.cell_px - 0.5], -1)
    # The middle of a ring shows the table, so the point stays within a cell of the object.
    nearest = middles[np.argmin(((middles - wanted) ** 2).sum(1))]
    u, v = np.clip(wanted, nearest - _WITHIN * maps.cell_px, nearest + _WITHIN * maps.cell_px)
    half = maps.cell_px / 2
    low, high = middles.min(0) - half, middles.max(0) + half
    return ImageObject(
        float(u),
        float(v),
        float(weight.mean()),
        share @ maps.nouns[inside],
        share @ maps.categories[inside],
        share @ maps.colors[inside],
        (float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        len(weight),
    )
