"""Reading of a stop in a text of any kind; in doubt it is one, because a stop harms nothing."""

import itertools
import re
import unicodedata

from molmo_point.commands.phrases import Words, begins, strip_end, strip_start
from molmo_point.commands.spelling import corrected_verb, sounds_like_stop
from molmo_point.commands.vocabulary import (
    HOW_MANY,
    JOINTS,
    LONE_STOPS,
    POLITE_ENDS,
    POLITE_STARTS,
    STOP_PHRASES,
    STOP_WORDS,
    VERBS,
    WANTS,
    WHERE,
)

_STOP = re.compile(f"(?:{'|'.join(STOP_WORDS)})+")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|,")
_ENDS = (*POLITE_ENDS, ("it",), ("moving",), ("that",))


def means_stop(text: str) -> bool:
    """True if a text means stop.

    A sentence is a stop if it begins or ends with a word for stop, if a clause in it begins with one, or if it contains one
    and no known verb. "Pick up the stop sign" has a verb, and is none. Case, punctuation, invisible letters, lengthened
    letters ("stoooop") and spelled letters ("s t o p") do not matter.
    """
    shown = "".join(letter for letter in unicodedata.normalize("NFKC", text) if unicodedata.category(letter) != "Cf")
    plain = re.sub(r"([^\W\d_])\1{2,}", r"\1", shown.casefold().replace("’", "'"))
    letters = _WORD.findall(plain)
    if len(letters) > 1 and all(len(letter) == 1 for letter in letters) and _is_stop_word("".join(letters)):
        return True
    return any(_is_stop(tuple(_WORD.findall(sentence))) for sentence in re.split(r"[.;:!?…\n]+", plain))


def _is_stop(words: Words) -> bool:
    small = tuple(word for word in words if word != ",")
    if not small:
        return False
    bare = strip_end(strip_start(small, POLITE_STARTS), _ENDS)
    if len(bare) == 1 and (bare[0] in LONE_STOPS or (bare[0] not in VERBS and sounds_like_stop(bare[0]))):
        return True
    if any(begins(each, STOP_PHRASES) or _is_stop_word(each[0]) or _is_stop_word(each[-1]) for each in (small, bare)):
        return True
    if any(before in JOINTS and _is_stop_word(word) for before, word in itertools.pairwise(words)):
        return True
    return not _has_verb(bare) and any(map(_is_stop_word, small))


def _is_stop_word(word: str) -> bool:
    return _STOP.fullmatch(word) is not None


def _has_verb(words: Words) -> bool:
    known = words[0] in VERBS or corrected_verb(words[0]) is not None
    return known or begins(words, (*WANTS, *HOW_MANY, *WHERE)) > 0
