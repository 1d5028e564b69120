"""Correction of misspelled verbs; names of objects are never changed."""

from difflib import SequenceMatcher

from molmo_point.commands.vocabulary import HEARD_STOP_WORDS, OTHER_VERBS, VERBS

_LEAST_LIKENESS = 0.75
_STOP_LIKENESS = 0.7


def corrected_verb(word: str) -> str | None:
    """Correct a misspelled verb, lower case; None if the word is no misspelling, or of two verbs with other meanings.

    The first letter must be right, or swapped with the second. Words with another meaning stay.
    """
    word = word.lower()
    if word in VERBS or word in OTHER_VERBS or len(word) < 3 or not word.isalpha():
        return None
    rated = sorted(((_likeness(word, verb), verb) for verb in VERBS if _starts_alike(word, verb)), reverse=True)
    if not rated or rated[0][0] < _LEAST_LIKENESS:
        return None
    best = [verb for likeness, verb in rated if likeness == rated[0][0]]
    return best[0] if len({VERBS[verb] for verb in best}) == 1 else None


def sounds_like_stop(word: str) -> bool:
    """True if a lone word may be "stop" or "halt"; in doubt it is."""
    return any(_likeness(word.lower(), stop) >= _STOP_LIKENESS for stop in HEARD_STOP_WORDS)


def _starts_alike(word: str, verb: str) -> bool:
    return word[0] == verb[0] or (word[1] == verb[0] and word[0] == verb[1])


def _likeness(a: str, b: str) -> float:
    return max(SequenceMatcher(None, a, b).ratio(), SequenceMatcher(None, b, a).ratio())
