"""The documents keep those language rules of CONTRIBUTING that a machine can check."""

import re

import pytest

from .test_links import ROOT, markdown_files

BRITISH = (
    r"\w*colour\w*|\w*grey|centre[sd]?|\w*metres?|neighbour\w*|licence[sd]?|labell\w+|modell\w+|cancell(?:ed|ing)|behaviour\w*"
    r"|\w+[a-z]i[sz]ation(?<=isation)|(?:optim|normal|initial|synchron|quant|recogn|summar|organ|general)is(?:e|es|ed|er|ing)|tyres?"
)
TERMS = r"anew|whoever|beside|likewise|per cent|times as many as"
_CODE = re.compile(r"^```.*?^```\s*$|`[^`]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"\"[^\"\n]*\"")


def refused_words(text):
    """Words of prose that are spelled the British way, or that the glossary replaces."""
    plain = _QUOTED.sub("", _CODE.sub("", text))
    return [match[0] for match in re.finditer(rf"\b(?:{BRITISH}|{TERMS})\b", plain, re.IGNORECASE)]


def documents():
    # names and titles in an attribution are those of other people
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in markdown_files() if "ATTRIBUTION" not in path.name]


@pytest.mark.parametrize("path", documents())
def test_words_are_those_of_the_house(path):
    assert refused_words(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("word", ["colour", "Grey", "millimetres", "normalised", "likewise", "quantisation", "licence"])
def test_a_refused_word_is_noticed(word):
    assert refused_words(f'A {word} here, `{word}` and "{word}" there.') == [word]
    assert refused_words("A precise rise of the center: parameters, an advertised colorimeter, a promise, a license.") == []
