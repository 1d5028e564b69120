"""Objects that words ask for: a color, and a noun or a category that the read-out knows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from molmo_point.query_words import named_objects

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_ANY = frozenset(("object", "objects", "item", "items", "thing", "things"))


@dataclass(frozen=True)
class AskedObjects:
    """Objects of a query that the read-out knows.

    Attributes:
        color: Index of the color word; None for any.
        noun: Index of the noun; None for any.
        category: Index of the category; None for any.
        words: The query without articles and requests.
    """

    color: int | None
    noun: int | None
    category: int | None
    words: str


@dataclass(frozen=True)
class KnownWords:
    """Words of a read-out network.

    Attributes:
        nouns: Nouns by index.
        categories: Categories by index.
        colors: Color words by index.
        forms: Other forms of a noun, category or color, e.g. its plural, to the word itself.
    """

    nouns: Sequence[str]
    categories: Sequence[str]
    colors: Sequence[str]
    forms: Mapping[str, str]

    def asked(self, words: str) -> AskedObjects | None:
        """Read a query; None if it says anything but one color, one noun or category, or a color and "object"."""
        text = named_objects(words).lower()
        tokens = _TOKEN.findall(text)
        color = self._colors.get(tokens[0]) if tokens else None
        rest = " ".join(tokens[1:] if color is not None else tokens)
        if not rest or _TOKEN.sub("", text).strip(" ,"):
            return None
        if rest in _ANY:
            return None if color is None else AskedObjects(color, None, None, text)
        noun, category = self._nouns.get(rest), self._categories.get(rest)
        if noun is None and category is None:
            return None
        return AskedObjects(color, noun, None if noun is not None else category, text)

    @cached_property
    def _nouns(self) -> dict[str, int]:
        return self._indexed(self.nouns)

    @cached_property
    def _categories(self) -> dict[str, int]:
        return self._indexed(self.categories)

    @cached_property
    def _colors(self) -> dict[str, int]:
        return self._indexed(self.colors)

    def _indexed(self, words: Sequence[str]) -> dict[str, int]:
        own = {" ".join(_TOKEN.findall(word.lower())): index for index, word in enumerate(words)}
        forms = {" ".join(_TOKEN.findall(form.lower())): own[word] for form, word in self.forms.items() if word in own}
        return {**forms, **own}
