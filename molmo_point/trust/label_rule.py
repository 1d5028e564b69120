"""Rule that compares the model's own name of a point with the words that were asked for."""

import re
from collections.abc import Sequence

from molmo_point.cautions import Caution, CautionKind
from molmo_point.query_words import named_objects
from molmo_point.text_checks import printable

DEFAULT_LABEL_LIMIT = 1 / 3
"""Share of a label's words that a query may lack at most."""

_WORD = re.compile(r"\w+")
_EMPTY = {
    *("a", "an", "the", "all", "any", "each", "every", "some", "this", "that", "these", "those", "of", "in", "on", "at"),
    *("to", "and", "or", "is", "are", "one", "ones", "it", "its", "there", "please"),
}
_SHOWN = 60


def check_labels(query: str, labels: Sequence[str], limit: float = DEFAULT_LABEL_LIMIT) -> Caution | None:
    """Compare the labels of an answer with its query; None if all of them fit.

    Args:
        query: Words of the user.
        labels: The model's own names of its points.
        limit: Share of a label's words that the query may lack.
    """
    asked = named_objects(query)
    differing = next((label for label in dict.fromkeys(labels) if _differs(asked, label, limit)), None)
    if differing is None:
        return None
    message = f"asked for {shown(query)}, the model points at {shown(differing)}"
    return Caution(CautionKind.LABEL_DIFFERS, message)


def _differs(query: str, label: str, limit: float) -> bool:
    """Tell whether a label names another object; one that only says more than the query ("red", "red cube") does not."""
    named = content_words(label)
    if not named:
        return label.strip().casefold() not in query.casefold()
    return not content_words(query) <= named and missing_share(query, label) > limit


def missing_share(query: str, label: str) -> float:
    """Return the share of a label's words that a query lacks, 0 to 1; 0 for a label without words."""
    asked, named = content_words(query), content_words(label)
    return sum(1 for word in named if word not in asked) / len(named) if named else 0.0


def content_words(words: str) -> frozenset[str]:
    """Return the words that carry meaning, in lower case and in the singular."""
    return frozenset(singular(word) for word in _WORD.findall(words.casefold()) if word not in _EMPTY)


def singular(word: str) -> str:
    """Return a word in lower case in the singular; it stays if it has no plural form of the common kinds."""
    if len(word) > 4 and word.endswith(("shes", "ches", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def shown(words: str) -> str:
    """Quote words for a message, shortened."""
    text = printable(words)
    return f"'{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}'"
