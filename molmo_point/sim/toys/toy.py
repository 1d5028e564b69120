"""Toys: each follows from a number alone, and differs from those of other numbers in form, proportions and look.

A variant shares the form or the look of a toy, for questions about pairs that look alike.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np

from molmo_point.arrays import ColorArray, FloatArray, IntArray
from molmo_point.errors import InputError
from molmo_point.sim.toys.toy_forms import FORMS
from molmo_point.sim.toys.toy_looks import CALM, MAIN_WEIGHTS, PATTERNS, random_palette
from molmo_point.sim.toys.toy_parts import ToyPart

MOST_TOYS = 4_000_000
"""Number of toys; their names differ."""
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_MIX, _OFFSET = 2_654_435_761, 12_345
_MARGIN = 0.04
_LARGEST_M, _SMALLEST_M = 0.14, 0.055


class ToyVariant(str, Enum):
    """Difference of a toy from the one of its number."""

    ITSELF = "itself"
    OTHER_COLORS = "other colors"
    OTHER_PATTERN = "other pattern"
    OTHER_FORM = "other form"


@dataclass(frozen=True)
class Toy:
    """A toy or tool made by formula.

    Attributes:
        number: Number from which all follows.
        variant: Difference from the toy of this number.
        widest_m: Largest narrower side, meters; toys wider than this are made smaller. Infinity leaves them as they are.

    Raises:
        InputError: The number is out of range.
    """

    number: int
    variant: ToyVariant = ToyVariant.ITSELF
    widest_m: float = np.inf

    def __post_init__(self) -> None:
        if not 0 <= self.number < MOST_TOYS:
            raise InputError("number of a toy must be in range", f"{self.number}", f"give 0 to {MOST_TOYS - 1}")

    @property
    def name(self) -> str:
        """Invented name, which no model knows: `fenapus`, or `fenapus two` for a variant."""
        rest, name = (self.number * _MIX + _OFFSET) % _SPAN, ""
        for position in range(7):
            letters = _VOWELS if position % 2 else _CONSONANTS
            rest, place = divmod(rest, len(letters))
            name += letters[place]
        return name + ("", " two", " three", " four")[list(ToyVariant).index(self.variant)]

    @property
    def form(self) -> str:
        """One of `FORMS`."""
        return toy_model(self).form


_SPAN = len(_CONSONANTS) ** 4 * len(_VOWELS) ** 3


@dataclass(frozen=True, eq=False)
class ToyModel:
    """Geometry and look of a toy that stands on z = 0 about the z axis.

    Attributes:
        form: One of `FORMS`.
        vertices_m: (n, 3) corners of the visible mesh, meters.
        faces: (k, 3) indices of corners.
        uv: (n, 2) texture coordinates.
        texture: (h, w, 3) uint8 RGB, its first row at v = 0.
        pieces_m: Corners (m, 3) of each convex piece that touches, meters.
        density_kg_m3: Density of the pieces.
        friction: Coefficient of sliding friction.
        width_m: Narrowest horizontal extent, meters.
        radius_m: Radius of the circle around the footprint, meters.
        height_m: Height, meters.
    """

    form: str
    vertices_m: FloatArray
    faces: IntArray
    uv: FloatArray
    texture: ColorArray
    pieces_m: tuple[FloatArray, ...]
    density_kg_m3: float
    friction: float
    width_m: float
    radius_m: float
    height_m: float


@lru_cache(maxsize=256)
def toy_model(toy: Toy) -> ToyModel:
    """Build a toy; the arrays must not be changed."""
    form_of = np.random.default_rng([toy.number, 0, toy.variant is ToyVariant.OTHER_FORM])
    colors_of = np.random.default_rng([toy.number, 1, toy.variant is ToyVariant.OTHER_COLORS])
    pattern_of = np.random.default_rng([toy.number, 2, toy.variant is ToyVariant.OTHER_PATTERN])
    form = str(form_of.choice(list(FORMS)))
    parts, narrow = _sized(list(FORMS[form](form_of)), form_of, toy.widest_m)
    texture = _texture(pattern_of, random_palette(colors_of))
    counts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([part.vertices for part in parts])
    return ToyModel(
        form=form,
        vertices_m=vertices,
        faces=np.concatenate([part.faces + first for part, first in zip(parts, counts, strict=False)]),
        uv=np.concatenate([_in_tile(part) for part in parts]),
        texture=texture,
        pieces_m=tuple(piece for part in parts for piece in part.pieces),
        density_kg_m3=float(form_of.uniform(350.0, 900.0)),
        friction=float(form_of.uniform(0.5, 0.9)),
        width_m=narrow,
        radius_m=float(np.hypot(*vertices[:, :2].T).max()),
        height_m=float(vertices[:, 2].max()),
    )


def _sized(parts: list[ToyPart], rng: np.random.Generator, widest_m: float) -> tuple[list[ToyPart], float]:
    """Scale the parts to the size of a toy in meters, stand them in the middle, and tell the narrower side."""
    points = np.concatenate([part.vertices for part in parts])
    low, high = points.min(0), points.max(0)
    scale = float(rng.uniform(0.045, 0.06)) * np.clip(1.0, *(np.array([_SMALLEST_M, _LARGEST_M]) / 0.05 / (high - low).max()))
    narrow = float(min(np.ptp(points[:, :2] @ (np.cos(a), np.sin(a))) for a in np.arange(36) * np.pi / 36)) * scale
    shrink = min(1.0, widest_m / narrow)
    middle = 0.5 * (low + high)
    return [part.at(-middle[0], -middle[1], -low[2]).scaled(scale * shrink) for part in parts], narrow * shrink


def _texture(rng: np.random.Generator, colors: FloatArray) -> ColorArray:
    """Draw the three pictures of a toy next to one another."""
    main = str(rng.choice(list(PATTERNS), p=MAIN_WEIGHTS / MAIN_WEIGHTS.sum()))
    names = (main, str(rng.choice(CALM)), str(rng.choice(CALM)))
    return np.concatenate([PATTERNS[name](rng, _led(colors, k)) for k, name in enumerate(names)], axis=1)


def _led(colors: FloatArray, first: int) -> FloatArray:
    """Put a color first; the last one stays."""
    return np.concatenate([np.roll(colors[:3], -first, axis=0), colors[3:]])


def _in_tile(part: ToyPart) -> FloatArray:
    """Texture coordinates of a part in the whole picture, off the borders of its own."""
    u, v = (_MARGIN + (1 - 2 * _MARGIN) * part.uv).T
    return np.stack([(u + part.look) / 3, v], 1)
