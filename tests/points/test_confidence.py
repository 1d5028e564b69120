"""Confidence of a point: the product over its digits' tokens and no others."""

import math

import pytest

from molmo_point.points.confidence import point_confidences
from molmo_point.points.parse import parse_answer


def confidences(text: str, tokens: list[str], probabilities: list[float]) -> tuple[float, ...]:
    return point_confidences(text, parse_answer(text, (640, 480)).spans, tokens, probabilities)


TEXT = ' <points x1="10.5" y1="20.0" x2="3" y2="4" alt="a">a</points>'


def test_digits_one_by_one() -> None:
    tokens = list(TEXT)
    probabilities = [0.1 if not c.isdigit() else 1.0 for c in TEXT]
    for digit, at in (("5", TEXT.index("5")), ("2", TEXT.index("20.0"))):
        assert TEXT[at] == digit
        probabilities[at] = 0.5
    probabilities[TEXT.index('x2="3') + 4] = 0.8
    # The index digits of x1 and y2 are not coordinates; 0.3 there must not matter.
    probabilities[TEXT.index("x1") + 1] = probabilities[TEXT.index("y2") + 1] = 0.3
    assert confidences(TEXT, tokens, probabilities) == pytest.approx((0.25, 0.8))


def test_tokens_of_several_characters() -> None:
    tokens = [" <points", " x1=", '"10', '.5" y', '1="', "20.0", '" x2="3" y2="4"', ' alt="a">a</points>']
    probabilities = [0.1, 0.2, 0.9, 0.8, 0.3, 0.7, 0.6, 0.4]
    assert confidences(TEXT, tokens, probabilities) == pytest.approx((0.9 * 0.8 * 0.7, 0.6))


def test_a_stripped_text_still_lines_up() -> None:
    tokens = list(TEXT)
    probabilities = [0.5 if c.isdigit() else 1.0 for c in TEXT]
    assert confidences(TEXT.strip(), tokens, probabilities) == pytest.approx((0.5**6, 0.25))


def test_tokens_before_the_text_are_stepped_over() -> None:
    tokens = list("Well," + TEXT)
    probabilities = [0.5 if c.isdigit() else 1.0 for c in tokens]
    probabilities[tokens.index("1")] = 0.001  # of x1, the name of the attribute
    assert confidences(TEXT, tokens, probabilities) == pytest.approx((0.5**6, 0.25))


@pytest.mark.parametrize(
    ("tokens", "probabilities"), [([], []), (["a"], []), (list("something else"), [1.0] * 14), (list(TEXT), [1.0])]
)
def test_unknown_is_nan(tokens: list[str], probabilities: list[float]) -> None:
    result = confidences(TEXT, tokens, probabilities)
    assert len(result) == 2
    assert all(math.isnan(value) for value in result)


def test_no_points_no_confidences() -> None:
    assert confidences("There are none.", list("There are none."), [1.0] * 15) == ()
