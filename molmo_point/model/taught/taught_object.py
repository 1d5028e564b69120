"""`TaughtObject`: one object of a library with its names and views, and the rules for its names."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from PIL import Image

from molmo_point.arrays import ColorArray
from molmo_point.errors import InputError
from molmo_point.model.taught.object_names import NameKey, checked_name, name_key
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.model.taught.view_examples import ViewExamples

THUMBNAIL_PX = 96
_MARGIN = 0.15


@dataclass(frozen=True, eq=False)
class TaughtView:
    """One view of a taught object, as a library keeps it.

    Attributes:
        examples: Features of its patches.
        thumbnail: Picture of the object (h, w, 3) uint8 RGB, at most `THUMBNAIL_PX` pixels wide and high.
        origin: Source of the image, e.g. the name of a file or of a camera.
        stamp_ns: Capture time in nanoseconds; None if unknown.
    """

    examples: ViewExamples
    thumbnail: ColorArray
    origin: str = ""
    stamp_ns: int | None = None


@dataclass(frozen=True, eq=False)
class TaughtObject:
    """One object of a library.

    Attributes:
        name: Name that answers carry, e.g. "my mug".
        views: Views that it was taught with, in the order of teaching.
        aliases: Other names of this object alone.
        categories: Words that it may share with other objects, e.g. "a mug", "blue thing".
    """

    name: str
    views: tuple[TaughtView, ...]
    aliases: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def stamp_ns(self) -> int | None:
        """Capture time of the latest view in nanoseconds; None if unknown."""
        return max((view.stamp_ns for view in self.views if view.stamp_ns is not None), default=None)

    @property
    def own_names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases)

    @cached_property
    def digest(self) -> str:
        """Hash of the whole content but the name."""
        found = sha256(repr((self.aliases, self.categories)).encode())
        for view in self.views:
            found.update(repr((view.origin, view.stamp_ns)).encode())
            for name, array in sorted({**view.examples.arrays(), "thumbnail": view.thumbnail}.items()):
                found.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def checked_objects(objects: Iterable[TaughtObject]) -> tuple[TaughtObject, ...]:
    """Return objects with checked words; InputError if one cannot be used, or names two objects."""
    found: list[TaughtObject] = []
    for each in objects:
        fresh = checked_object(each.name, each.views, each.aliases, each.categories)
        check_names(fresh, found)
        found.append(fresh)
    return tuple(found)


def thumbnail_png(view: TaughtView) -> bytes:
    """Encode the picture of a view as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(view.thumbnail).save(buffer, "PNG")
    return buffer.getvalue()


def checked_object(name: str, views: tuple[TaughtView, ...], aliases: Sequence[str], categories: Sequence[str]) -> TaughtObject:
    """Make an object of checked words, each once."""
    for role, words in (("aliases", aliases), ("categories", categories)):
        if isinstance(words, str):
            raise InputError(f"{role} must be a list of texts", repr(words), f"pass [{words!r}]")
    own = checked_name(name)
    other = joined_words((own,), [checked_name(alias, "alias") for alias in aliases])[1:]
    return TaughtObject(own, views, other, joined_words((), [checked_name(each, "category") for each in categories]))


def joined_words(words: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Join words, each key once."""
    found: dict[NameKey, str] = {}
    for word in (*words, *more):
        found.setdefault(name_key(word), word)
    return tuple(found.values())


def check_names(fresh: TaughtObject, others: Sequence[TaughtObject]) -> None:
    """Refuse a word of an object that names another one, or a category that is its own name."""
    own, shared = {name_key(name): name for name in fresh.own_names}, {name_key(each): each for each in fresh.categories}
    for key in own.keys() & shared.keys():
        fix = "leave it out, the object has it as a name"
        raise InputError("category must not be a name of the object itself", repr(shared[key]), fix)
    for other in others:
        for name in other.own_names:
            key = name_key(name)
            if key in own or key in shared:
                given = (
                    f"{(own.get(key) or shared.get(key))!r}, which {'is' if name == other.name else 'also names'} {other.name!r}"
                )
                fix = f"choose another name, forget {other.name!r} first, or add views to it"
                raise InputError("name must not be that of another taught object", given, fix)
        for category in other.categories:
            if name_key(category) in own:
                given = f"{category!r}, a category of {other.name!r}"
                raise InputError("name must not be a category of another object", given, "choose another name, e.g. 'my mug'")


def thumbnail_of(view: ShownView) -> ColorArray:
    """Cut the object out of its image, with a margin, and make it small."""
    rows, columns = np.flatnonzero(view.mask.any(1)), np.flatnonzero(view.mask.any(0))
    margin = int(_MARGIN * max(np.ptp(rows), np.ptp(columns))) + 2
    top, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
    cut = np.ascontiguousarray(view.color[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1])
    picture = Image.fromarray(cut)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return np.array(picture)
