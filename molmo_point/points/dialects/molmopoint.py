"""Dialect of MolmoPoint: points as tokens instead of digits.

``<POINT_276><POINT_727><POINT_731>1`` selects an image token, one of its pooled patches and a cell of
a 3 x 3 grid in that patch; the last number is that of the object. The three share one numbering:
image tokens, the class "no more points" if the model has it, patches of a token, cells. Only the
processor knows the place of a token in the image: `PointTokenLayout`.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.errors import InputError
from molmo_point.points.answer import CoordinatePair, Problems, Size, checked_sizes
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.points.tags import TAG_START

TOKEN = re.compile(r"<POINT_([0-9]{1,9})>", re.IGNORECASE)
_TRIPLE = re.compile(
    r"<POINT_([0-9]{1,9})>\s{0,4}<POINT_([0-9]{1,9})>\s{0,4}<POINT_([0-9]{1,9})>\s{0,4}([0-9]{1,9})(?![0-9])", re.IGNORECASE
)
_LABEL = re.compile(r"[\"']\s{0,8}>([^<]*)")
_CELL = 0.33
_FIX = "give what the processor returns with return_pointing_metadata=True"


@dataclass(frozen=True, eq=False)
class PointTokenLayout:
    """Places of the image tokens of a MolmoPoint prompt, from the processor's pointing metadata.

    Attributes:
        token_pooling: (tokens, patches) integers: ids of the patches pooled in each image token,
            padded with -1.
        subpatch_mapping: (rows, columns) integers per image: id of the patch at each place, -1 if
            none. A video has one array (frames, rows, columns).
        image_sizes: Width and height of each image in pixels; for a video those of its frames.
        no_more_points: True if the model has a class "no more points" after the image tokens.
        cells: True if a third token selects one of nine cells in the patch.
        times_s: Time of each frame in seconds; empty for images.

    Raises:
        InputError: Shapes or lengths do not match each other.
    """

    token_pooling: NDArray[np.integer]
    subpatch_mapping: Sequence[NDArray[np.integer]]
    image_sizes: Sequence[Size]
    no_more_points: bool = True
    cells: bool = True
    times_s: Sequence[float] = ()

    def __post_init__(self) -> None:
        pooling = _integers(self.token_pooling, "token_pooling")
        mappings = tuple(_integers(mapping, "subpatch_mapping") for mapping in self.subpatch_mapping)
        times = _times(self.times_s)
        if pooling.ndim != 2 or not pooling.size:
            raise InputError("token_pooling must be (tokens, patches)", f"shape {pooling.shape}", _FIX)
        if times:
            good = len(mappings) == 1 and mappings[0].ndim == 3 and len(mappings[0]) == len(times)
        else:
            good = bool(mappings) and all(mapping.ndim == 2 for mapping in mappings)
        if not good or not all(mapping.size for mapping in mappings):
            shapes = ", ".join(str(mapping.shape) for mapping in mappings)
            raise InputError(
                "subpatch_mapping must be one (rows, columns) per image, or one (frames, rows, columns) with times",
                f"{shapes or 'nothing'}; {len(times)} times",
                _FIX,
            )
        sizes = checked_sizes(self.image_sizes)
        if len(sizes) != len(mappings):
            raise InputError("image_sizes must have one size per image", f"{len(sizes)} sizes, {len(mappings)} images", _FIX)
        checked = {"token_pooling": pooling, "subpatch_mapping": mappings, "image_sizes": sizes, "times_s": times}
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], *, no_more_points: bool = True, cells: bool = True) -> "PointTokenLayout":
        """Read the dictionary of the processor.

        Args:
            metadata: Entries token_pooling, subpatch_mapping and image_sizes; for a video timestamps
                and video_size instead of the last.
            no_more_points: Value of `config.no_more_points_class`.
            cells: True if `config.patch_location` is "3x3".

        Raises:
            InputError: An entry is missing, or shapes do not match.
        """
        missing = [name for name in ("token_pooling", "subpatch_mapping") if metadata.get(name) is None]
        if missing:
            raise InputError("The pointing metadata must be complete", f"without {' and '.join(missing)}", _FIX)
        mapping, times = metadata["subpatch_mapping"], metadata.get("timestamps")
        if times is not None:
            return cls(metadata["token_pooling"], (mapping,), (metadata.get("video_size", ()),), no_more_points, cells, times)
        return cls(metadata["token_pooling"], tuple(mapping), metadata.get("image_sizes", ()), no_more_points, cells)

    @cached_property
    def _places(self) -> dict[int, tuple[int, tuple[int, ...]]]:
        """Map patch ids to image and indices; ids that occur twice in an image are skipped."""
        places: dict[int, tuple[int, tuple[int, ...]]] = {}
        for image, mapping in enumerate(self.subpatch_mapping):
            ids, first, counts = np.unique(mapping, return_index=True, return_counts=True)
            for patch, flat, count in zip(ids.tolist(), first.tolist(), counts.tolist()):
                if count == 1 and patch >= 0:
                    places.setdefault(patch, (image, tuple(int(i) for i in np.unravel_index(flat, mapping.shape))))
        return places

    def locate(self, token: int, patch: int, cell: int) -> tuple[int, float, float, float] | None:
        """Locate a point by the numbers of its three tokens.

        Returns:
            Image, time in seconds (NaN in images), column and row in patches; None if the tokens select no place.
        """
        tokens, patches = self.token_pooling.shape
        patch -= tokens + self.no_more_points
        cell -= tokens + self.no_more_points + patches
        if not (0 <= token < tokens and 0 <= patch < patches and (not self.cells or 0 <= cell < 9)):
            return None
        place = self._places.get(int(self.token_pooling[token, patch]))
        if place is None:
            return None
        image, indices = place
        across, down = ((cell // 3 + 0.5) * _CELL, (cell % 3 + 0.5) * _CELL) if self.cells else (0.5, 0.5)
        time_s = self.times_s[indices[0]] if self.times_s else math.nan
        return image, time_s, indices[-1] + across, indices[-2] + down

    def grid(self, image: int) -> Size:
        """Number of columns and rows of an image, in patches."""
        rows, columns = self.subpatch_mapping[image].shape[-2:]
        return float(columns), float(rows)


class MolmoPoint(Dialect):
    """Tokens that choose image patches, as MolmoPoint writes them.

    Args:
        layout: Layout of the tokens in the images; None finds no points and reports that.
    """

    name = "molmopoint"

    def __init__(self, layout: PointTokenLayout | None = None) -> None:
        self.layout = layout

    def find_points(self, text: str, problems: Problems, *, growing: bool = False) -> Iterator[CoordinatePair]:
        if self.layout is not None:
            yield from _find_points(text, problems, self.layout, growing)
        else:
            problems.add("point tokens cannot be placed without the layout of the images")

    def mark(self, text: str, *, growing: bool = False) -> int | None:
        token = TOKEN.search(text)
        return None if token is None else token.end()


def _find_points(text: str, problems: Problems, layout: PointTokenLayout, growing: bool) -> Iterator[CoordinatePair]:
    """Find all points in patches of their image, in the order of the text."""
    tags = [tag for tag in TAG_START.finditer(text) if tag.end() < len(text)]
    number, label, read = -1, "", 0
    known: set[tuple[object, ...]] = set()
    for match in _TRIPLE.finditer(text):
        if growing and match.end() == len(text):
            break
        while number + 1 < len(tags) and tags[number + 1].start() < match.start():
            number += 1
            label = _label(text, tags, number)
        read += 3
        found = _found(match, layout)
        if found is None:
            problems.add("point tokens choose no place in the image", match[0])
            continue
        opened = number >= 0 and not tags[number][1]
        if opened:
            tag, followed = tags[number], tags[number][2].lower().startswith("track")
            found = replace(found, label=label, tag=tag.start(), settled=number + 1 < len(tags), followed=followed)
        key = (number, found.image_index, str(found.time_s), found.index)
        if key in known and not found.followed:
            problems.add("two points have one number", match[0], harmless=True)
        known.add(key)
        yield found
    if growing:
        return
    end = len(layout.token_pooling) if layout.no_more_points else None
    stray = sum(1 for token in TOKEN.finditer(text) if int(token[1]) != end) - read
    if stray > 0:
        problems.add("point tokens do not make up a point", f"{stray} tokens")


def _label(text: str, tags: list[re.Match[str]], number: int) -> str:
    """Find the text inside a tag, after the closing quote of its coordinates."""
    end = tags[number + 1].start() if number + 1 < len(tags) else len(text)
    inner = _LABEL.search(text, tags[number].end(), end)
    return inner[1].strip() if inner else ""


def _found(match: re.Match[str], layout: PointTokenLayout) -> CoordinatePair | None:
    place = layout.locate(int(match[1]), int(match[2]), int(match[3]))
    if place is None:
        return None
    image, time_s, column, row = place
    return CoordinatePair(
        x=column,
        y=row,
        x_span=(match.start(), match.end(1) + 1),
        y_span=(match.start(2) - len("<POINT_"), match.end(3) + 1),
        index=int(match[4]),
        full=layout.grid(image),
        image_index=image,
        time_s=time_s,
        object_id=int(match[4]),
    )


def _times(values: Sequence[float]) -> tuple[float, ...]:
    try:
        times = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        times = (math.nan,)
    if not all(math.isfinite(time) for time in times):
        raise InputError("times_s must be seconds", repr(values)[:200], _FIX)
    return times


def _integers(values: object, name: str) -> NDArray[np.integer]:
    try:
        array: NDArray[Any] = np.asarray(values)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{name} must be integers", f"{array.dtype} of shape {array.shape}", _FIX)
    return array
