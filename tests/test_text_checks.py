"""Text that is printed: names are shown, not obeyed."""

import json
import unicodedata

import pytest

from molmo_point.text_checks import printable


@pytest.mark.parametrize("text", ["", "base_link", "der Würfel", "红色的杯子", "ماگ قرمز", "👩‍🚀 and 🏳️", "a\u00a0b", "C:\\new"])
def test_words_stay(text: str) -> None:
    assert printable(text) == text


def test_no_control_remains() -> None:
    every = "".join(chr(code) for code in [*range(0x3000), 0xD800, 0xDFFF, 0xFEFF, *range(0xFFF0, 0x10000), 0xE0041])
    shown = printable(every)
    # Joiners of letters are needed by some scripts, and change nothing else.
    left = {letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")}
    assert not left
    assert not {"\u202e", "\u2066", "\u200f", "\u061c", "\ufeff", "\U000e0041"} & set(shown)
    assert {"\u200c", "\u200d"} <= set(shown)


def test_the_form_is_that_of_json() -> None:
    text = "base\x1b]0;title\x07\x9b2J\x7f\n\r\t\u202e\U000e0041"
    assert printable(text) == r"base\u001b]0;title\u0007\u009b2J\u007f\n\r\t\u202e\udb40\udc41"
    assert json.loads(f'"{printable(text)}"') == text


def test_line_breaks_can_stay() -> None:
    assert printable("one\ntwo\x1b", keep="\n") == "one\ntwo\\u001b"
