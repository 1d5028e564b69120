"""Words that a checkpoint was trained on, and the check of a query against them."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import printable
from molmo_point.query_words import named_objects
from molmo_point.text_checks import MAX_QUERY_LENGTH
from molmo_point.trust.spoken_frames import means_nothing

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|\S")
_MOST_TOKENS = 24
_MOST_NAMED, _LONGEST_NAMED, _MOST_LISTED = 3, 24, 12
_LONGEST_CORRECTED = 24
_LONGEST_PHRASE = 200
_LEAST_LIKENESS = 0.8
_DETERMINERS = frozenset(("the", "a", "an", "this", "that", "these", "those", "my", "your", "our", "any", "some", "all", "one"))
_LISTS = ("other_words", "harmless_starts", "harmless_ends")
_FUNCTION_WORDS = frozenset(("the", "a", "an", "is", "are", "of", "that", "which", "and", "to", "it", "its", "in", "at"))
"""Words that a message names only without others."""


@dataclass(frozen=True)
class TrainedWords:
    """Words that a model was trained on.

    Attributes:
        groups: Words and phrases by the name of their group, e.g. "colors", "shapes"; messages name these groups.
        connecting: The same for words that name nothing by themselves, e.g. "relations", "general words".
        forms: Other forms of a word, such as its plural, to the word of a group.
        patterns: Sequences of groups in the questions of the training, e.g. "colors shapes"; empty allows any.
        other_words: Words of the language that are no misspellings, although they are like words of a group.
        harmless_starts: Phrases that change nothing before the names in the images of the training, e.g. "one".
        harmless_ends: The same behind the names, e.g. "on the table" where every image shows one.
    """

    groups: Mapping[str, tuple[str, ...]]
    connecting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    other_words: tuple[str, ...] = ()
    harmless_starts: tuple[str, ...] = ()
    harmless_ends: tuple[str, ...] = ()

    def names(self, words: str) -> str:
        """Return the names of objects in a query, without what is harmless for this training: phrases and spoken requests."""
        words = words[: MAX_QUERY_LENGTH + 1]
        text = self._without(self._harmless_end, named_objects(words))
        if not self.patterns or self._fits(self._split(text)):
            return text
        bare = self._without(self._harmless_start, text)
        return bare if self._fits(self._split(bare)) else self._within_request(text, words) or bare

    def _without(self, harmless: re.Pattern[str], text: str) -> str:
        rest = harmless.sub("", text, count=1).strip(" ,")
        return named_objects(rest) if rest != text and any(map(str.isalnum, rest)) else text

    def _within_request(self, text: str, words: str) -> str:
        """Return the only names of a text that else holds nothing but a request; empty if it says more."""
        tokens = self._split(text)
        if not 1 < len(tokens) <= _MOST_TOKENS:
            return ""
        spans = ((k, k + size) for size in range(len(tokens), 0, -1) for k in range(len(tokens) - size + 1))
        start, end = next(((k, end) for k, end in spans if self._fits(tokens[k:end])), (0, 0))
        before = tokens[: start - 1] if start and tokens[start - 1] in _DETERMINERS else tokens[:start]
        # "The robot at the red cube" names the robot: its article counts.
        lead = words[: max(words.lower().rfind(text.lower()), 0)].lower().split()[-1:]
        before = (*lead, *before) if before and lead and lead[0] in _DETERMINERS else before
        return " ".join(tokens[start:end]) if end and means_nothing(before, tokens[end:]) else ""

    def check(self, words: str, model: str) -> Caution | None:
        """Check the words of a query; None if the model was trained on all of them, in this order.

        Args:
            words: Words of the user.
            model: Name of the model, for the message.
        """
        tokens = self._tokens(words)
        if len(words) <= MAX_QUERY_LENGTH and len(tokens) <= _MOST_TOKENS and self._fits(tokens):
            return None
        unknown = self._unknown(tokens[:_MOST_TOKENS])
        too_long = len(words) > MAX_QUERY_LENGTH or len(tokens) > _MOST_TOKENS
        suggestion = "" if too_long else self._suggestion(words, unknown)
        message = self._message(tokens, unknown, printable(model), too_long)
        return Caution(CautionKind.UNKNOWN_WORDS, message, unknown[:_MOST_LISTED], suggestion)

    def correction(self, token: str) -> str | None:
        """Correct one word or symbol in lower case; None if it is another word, a blank or nothing for a symbol."""
        if not token[0].isalnum():
            return " " if unicodedata.category(token)[0] in "PZ" else ""
        if token in self.other_words or not 3 <= len(token) <= _LONGEST_CORRECTED:
            return None
        for k in range(2, len(token) - 1):
            if (token[:k],) in self._groups_of and (token[k:],) in self._groups_of:
                return f"{token[:k]} {token[k:]}"
        alike = [known for known in (*self._known, "the") if len(known) > 2 and _may_be_misspelt(token, known)]
        swapped = (known for known in alike if sorted(token) == sorted(known) and sum(map(str.__ne__, token, known)) == 2)
        return next(iter((*swapped, *get_close_matches(token, alike, 1, _LEAST_LIKENESS))), None)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "TrainedWords":
        """Read the form of `to_settings`; ValueError if it is another."""
        try:
            groups, connecting = (
                {_text(name): tuple(map(_text, words)) for name, words in settings.get(part, {}).items()}
                for part in ("groups", "connecting")
            )
            forms = {_text(form): _text(word) for form, word in settings.get("forms", {}).items()}
            patterns, *rest = (tuple(map(_text, settings.get(part, ()))) for part in ("patterns", *_LISTS))
        except (AttributeError, TypeError) as error:
            raise ValueError(f"vocabulary: {error}") from error
        if not any(groups.values()):
            raise ValueError("vocabulary: groups must hold words")
        found = cls(groups, connecting, forms, patterns, *rest)
        if strange := {name for pattern in patterns for name in pattern.split()} - {*groups, *connecting}:
            raise ValueError(f"vocabulary: patterns name the unknown group {min(strange)!r}")
        return found

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        parts: dict[str, Any] = {part: {k: list(v) for k, v in getattr(self, part).items()} for part in ("groups", "connecting")}
        parts |= {"forms": dict(self.forms)} | {part: list(getattr(self, part)) for part in ("patterns", *_LISTS)}
        return {name: part for name, part in parts.items() if part}

    @cached_property
    def _groups_of(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """Names of the groups of every phrase, which is a tuple of tokens."""
        found: dict[tuple[str, ...], list[str]] = {}
        of_word: dict[str, list[str]] = {}
        for name, words in (*self.groups.items(), *self.connecting.items()):
            for word in words:
                of_word.setdefault(word, []).append(name)
        for form, word in (*zip(of_word, of_word, strict=True), *self.forms.items()):
            found.setdefault(tuple(_TOKEN.findall(form.lower())), []).extend(of_word.get(word, ()))
        return {phrase: tuple(names) for phrase, names in found.items()}

    @cached_property
    def _harmless_start(self) -> re.Pattern[str]:
        return re.compile(rf"^(?:{_any_of(self.harmless_starts)}) ", re.IGNORECASE)

    @cached_property
    def _harmless_end(self) -> re.Pattern[str]:
        return re.compile(rf"(?<=\w),? (?:{_any_of(self.harmless_ends)})$", re.IGNORECASE)

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._groups_of), default=0)

    @cached_property
    def _known(self) -> frozenset[str]:
        """Every token of a known phrase."""
        return frozenset(token for phrase in self._groups_of for token in phrase)

    @cached_property
    def _beginnings(self) -> dict[tuple[str, ...], bool]:
        """Beginnings of all patterns; True for whole ones."""
        whole = {tuple(pattern.split()) for pattern in self.patterns}
        return {pattern[:k]: pattern[:k] in whole for pattern in whole for k in range(len(pattern) + 1)}

    def _phrases_at(self, tokens: tuple[str, ...], start: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield ends and groups of the known phrases that begin at a token."""
        for end in range(start + 1, min(start + self._longest, len(tokens)) + 1):
            if names := self._groups_of.get(tokens[start:end]):
                yield end, names

    def _fits(self, tokens: tuple[str, ...]) -> bool:
        """True if known phrases make up all tokens, in a pattern of the training."""
        reached: list[set[tuple[str, ...]]] = [{()}, *(set() for _ in tokens)]
        for start, ways in enumerate(reached[:-1]):
            for end, names in self._phrases_at(tokens, start) if ways else ():
                if not self.patterns:
                    reached[end].add(())
                    continue
                longer = ((*way, name) for way in ways for name in names)
                reached[end].update(way for way in longer if way in self._beginnings)
        return (
            bool(tokens) and any(self._beginnings[way] for way in reached[-1]) if self.patterns else bool(tokens and reached[-1])
        )

    def _unknown(self, tokens: tuple[str, ...]) -> tuple[str, ...]:
        """Return the tokens outside known phrases: words with content, else other words, else symbols and parts of phrases."""
        covered = {k for start in range(len(tokens)) for end, _ in self._phrases_at(tokens, start) for k in range(start, end)}
        outside = tuple(dict.fromkeys(token for k, token in enumerate(tokens) if k not in covered))
        foreign = tuple(token for token in outside if token not in self._known)
        words = tuple(token for token in foreign if token[0].isalnum())
        symbols = tuple(token for token in foreign if not token[0].isalnum())
        return tuple(token for token in words if token not in _FUNCTION_WORDS) or symbols or words or outside

    def _message(self, tokens: tuple[str, ...], unknown: tuple[str, ...], model: str, too_long: bool) -> str:
        *most, last = [
            f"{len(words)} {name if len(words) > 1 else name.removesuffix('s')}" for name, words in self.groups.items()
        ] or ["no words"]
        known = f"{model} knows {', '.join(most)}{' and ' if most else ''}{last}"
        if unknown:
            named = [repr(_shown(word)) for word in unknown[:_MOST_NAMED]]
            if len(unknown) == 1:
                return f"{known}; {named[0]} is none of them"
            *first, last = [*named, f"{len(unknown) - len(named)} more"] if len(unknown) > len(named) else named
            return f"{known}; {', '.join(first)} and {last} are not among them"
        if too_long:
            return f"{known}; no question of its training was so long"
        if not tokens:
            return f"{known}; the query names none of them"
        text = _shown(" ".join(tokens))
        if len(tokens) == 1:
            return f"{known}, but was never asked for {text!r} alone"
        return f"{known}, but was not trained on them in this order: {text!r}"

    def _suggestion(self, words: str, unknown: tuple[str, ...]) -> str:
        """Correct the unknown words of a query; empty if that does not make it known."""
        corrected = " ".join(unicodedata.normalize("NFKC", words).split())
        for token in unknown:
            better = self.correction(token)
            if better is None:
                return ""
            border = r"\b" if token[0].isalnum() else ""
            corrected = re.sub(border + re.escape(token) + border, better, corrected, flags=re.IGNORECASE)
        corrected = " ".join(corrected.split())
        return corrected if unknown and self._fits(self._tokens(corrected)) else ""

    def _tokens(self, words: str) -> tuple[str, ...]:
        return self._split(self.names(words))

    @staticmethod
    def _split(text: str) -> tuple[str, ...]:
        return tuple(_TOKEN.findall(text.lower())) if any(map(str.isalnum, text)) else ()


def _any_of(phrases: tuple[str, ...]) -> str:
    return "|".join(map(re.escape, sorted(phrases, key=len, reverse=True))) or "(?!)"


def _may_be_misspelt(token: str, known: str) -> bool:
    """True if two words have about the same length and the same beginning, which people rarely misspell."""
    return abs(len(token) - len(known)) <= 1 + (len(known) > 6) and (token[0] == known[0] or token[:2] == known[1::-1])


def _shown(text: str) -> str:
    return printable(text if len(text) <= _LONGEST_NAMED * 2 else f"{text[: _LONGEST_NAMED * 2]}…")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_PHRASE:
        raise ValueError(f"vocabulary: {str(value)[:_LONGEST_NAMED]!r} must be text of at most {_LONGEST_PHRASE} characters")
    return value
