"""Bounds of a ``tokenizer.json``, checked before a library works with it; needs no torch and no tokenizers.

A normalizer may make a long text of a short one, and a regular expression may search for hours. Both happen inside
the library, where nothing can stop them.
"""

import re
from collections.abc import Iterator, Mapping
from math import log2, prod
from typing import Any

_MOST_GROWTH = 8.0
_MOST_STEPS = 64
_LONGEST_PATTERN = 4000
_MOST_TOKENS = 1 << 24
_MOST_ADDED = 100_000
_LONGEST_ADDED = 1000
_DEEPEST = 16
# Quantifiers behind a group: with a choice or a quantifier inside, the search may take exponential time.
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{\d*,?\d*\})")
_ESCAPES = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
# Logarithm of the most paths that a search tries from one letter, if a long repetition ends within 256 letters.
_MOST_PATHS_BITS, _LONG_BITS, _FEW = 20.0, 8.0, 8
_PARTS = re.compile(r"[(|)]|[*+?][+?]?|\{(\d*)(,?)(\d*)\}")
_RECURSION = re.compile(r"\\g|\(\?(?:[R&0-9+]|-\d|P>)")
_MOST_SPECIAL = 5000


def special_tokens_problem(data: Mapping[str, Any]) -> str:
    """Describe the fault of a file with special tokens: so many that adding them takes hours; empty if there is none."""
    listings = [value for value in data.values() if isinstance(value, (list, dict)) and len(value) > _MOST_SPECIAL]
    return f"it lists {max(map(len, listings))} tokens" if listings else ""


def tokenizer_problem(data: Any) -> str:
    """Describe the first fault of a parsed ``tokenizer.json``; empty if it is within bounds."""
    if not isinstance(data, dict):
        return f"it holds a {type(data).__name__}, not an object"
    return next(_problems(data), "")


def _problems(data: Mapping[str, Any]) -> Iterator[str]:
    model = data.get("model")
    if isinstance(model, dict) and model.get("dropout"):
        yield "its dropout splits the same words in other ways each time"
    for part in ("normalizer", "pre_tokenizer", "decoder", "post_processor"):
        steps = list(_steps(data.get(part), 0))
        if len(steps) > _MOST_STEPS:
            yield f"its {part} has more than {_MOST_STEPS} steps"
        for step in steps:
            yield from _pattern_problems(part, step)
            if step.get("type") == "Precompiled":
                yield f"its {part} has a table of its own, which no model of the family has"
        # Unicode forms make few letters longer, so only what is written into the text counts.
        growth = prod(_growth_of(step) for step in steps)
        if growth > _MOST_GROWTH:
            yield f"its {part} may make a text {growth:.3g} times as long"
    yield from _vocabulary_problems(data)


def _steps(part: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """List the steps of a part of the tokenizer, sequences taken apart."""
    if not isinstance(part, dict) or depth > _DEEPEST:
        return
    inner = [part.get(name) for name in ("normalizers", "pretokenizers", "decoders", "processors")]
    found = next((entries for entries in inner if isinstance(entries, list)), None)
    if found is None:
        yield part
        return
    for entry in found[: _MOST_STEPS + 1]:
        yield from _steps(entry, depth + 1)


def _growth_of(step: Mapping[str, Any]) -> float:
    """Bound the factor by which a step makes a text of a hundred letters longer."""
    kind = str(step.get("type"))
    if kind == "Replace":
        pattern, content = step.get("pattern"), step.get("content")
        text = pattern.get("String") if isinstance(pattern, dict) else None
        length = len(content) if isinstance(content, str) else 0
        # An empty pattern and a regular expression may match at every letter.
        return max(1.0, length / len(text)) if isinstance(text, str) and text else 1.0 + length
    if kind in ("Prepend", "Metaspace"):
        added = step.get("prepend", step.get("replacement", ""))
        return 1.0 + len(str(added)) / 100
    return 1.0


def _pattern_problems(part: str, step: Mapping[str, Any]) -> Iterator[str]:
    pattern = step.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    if regex is None:
        return
    if not isinstance(regex, str) or len(regex) > _LONGEST_PATTERN:
        yield f"its {part} has a regular expression of more than {_LONGEST_PATTERN} letters"
    elif may_search_for_ever(regex):
        yield f"its {part} has a regular expression that may search for ever: {regex[:60]}"


def may_search_for_ever(regex: str, most_bits: float = _MOST_PATHS_BITS) -> bool:
    """Test for recursion, for a repeated group with a choice or a repetition inside, and for too many paths in a row."""
    plain = _ESCAPES.sub("c", regex).replace("(?", "(")
    if _RECURSION.search(regex) or _paths_bits(plain) > most_bits:
        return True
    for end in _REPEATED_GROUP.finditer(plain):
        depth, start = 0, end.start()
        while start >= 0:
            depth += {")": 1, "(": -1}.get(plain[start], 0)
            if depth == 0:
                break
            start -= 1
        if re.search(r"[*+?|{]", plain[max(0, start) : end.start()]):
            return True
    return False


def _paths_bits(plain: str) -> float:
    """Bound the paths through the worst branch of a regular expression without escapes and classes, as a logarithm."""
    open_groups = [[0.0, 0.0]]  # for each open group: the worst finished branch, and the present one
    for part in _PARTS.finditer(plain):
        group = open_groups[-1]
        if part[0] == "(":
            open_groups.append([0.0, 0.0])
        elif part[0] == "|":
            group[:] = max(group), 0.0
        elif part[0] != ")":
            group[1] += _bits_of(part)
        elif len(open_groups) > 1:
            open_groups.pop()
            open_groups[-1][1] += max(group)
    return max(map(max, open_groups))


def _bits_of(quantifier: re.Match[str]) -> float:
    if quantifier[0][0] == "?":
        return 1.0
    low, comma, high = int(quantifier[1] or 0), quantifier[2], quantifier[3]
    if quantifier[0][0] != "{" or (comma and not high) or int(high or 0) - low > _FEW:
        return _LONG_BITS
    return log2(int(high) - low + 1) if high and int(high) >= low else 0.0


def _vocabulary_problems(data: Mapping[str, Any]) -> Iterator[str]:
    model = data.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    # The unigram model lists its pieces, all others map pieces to numbers.
    known: dict[Any, Any] = dict(vocabulary) if isinstance(vocabulary, dict) else {}
    if len(known) > _MOST_TOKENS:
        yield f"its vocabulary has {len(known)} tokens"
    numbers = list(known.values())
    if not all(type(number) is int and 0 <= number < _MOST_TOKENS for number in numbers):
        yield "its vocabulary has a number that is no whole number from 0"
    elif len(set(numbers)) < len(numbers):
        yield "two tokens of its vocabulary have one number"
    yield from _added_problems(data.get("added_tokens"), known)


def _added_problems(added: Any, known: Mapping[str, int]) -> Iterator[str]:
    if added is None:
        return
    if not isinstance(added, list) or len(added) > _MOST_ADDED:
        yield f"its added_tokens are no list of at most {_MOST_ADDED}"
        return
    by_number = {number: token for token, number in known.items()}
    names: set[str] = set()
    for token in added:
        content, number = (token.get("content"), token.get("id")) if isinstance(token, dict) else (None, None)
        if not isinstance(content, str) or not 0 < len(content) <= _LONGEST_ADDED:
            yield "one of its added tokens has no text, or a long one"
        elif type(number) is not int or not 0 <= number < _MOST_TOKENS:
            yield f"its added token {content[:40]!r} has the number {number!r}"
        elif content in names or by_number.get(number, content) != content or known.get(content, number) != number:
            yield f"its added token {content[:40]!r} is there twice, or has the number {number} of another one"
        else:
            names.add(content)
            by_number[number] = content
