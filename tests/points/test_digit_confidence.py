"""Confidence of a point: the mass around it, or the product over its digits where no more is known."""

import math

import numpy as np
import pytest

from molmo_point.points.digit_confidence import answer_confidences
from molmo_point.points.parse import PointTokenLayout, parse_answer
from molmo_point.results import Completion


def confidences(text: str, tokens: list[str], probabilities: list[float]) -> tuple[float, ...]:
    completion = Completion(text, len(tokens), "stop", tokens=tuple(tokens), token_probabilities=tuple(probabilities))
    return answer_confidences(completion, parse_answer(text, (640, 480)))


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


ONE = ' <point x="61.5" y="40.4" alt="a">a</point>'


def with_digits(last_x: dict[int, float], tenths_x: dict[int, float], first_x: float = 1.0) -> float:
    """Confidence of ONE where all is certain but the digits of x: 6 (first), 1 (last), 5 (tenths)."""
    tokens = list(ONE)
    probabilities = [1.0] * len(tokens)
    digits: list[tuple[float, ...]] = [tuple(float(c == str(k)) for k in range(10)) if c.isdigit() else () for c in tokens]
    at = ONE.index("61.5")
    probabilities[at] = first_x
    for place, given in ((at + 1, last_x), (at + 3, tenths_x)):
        digits[place] = tuple(given.get(k, 0.0) for k in range(10))
        probabilities[place] = digits[place][int(tokens[place])]
    completion = Completion(
        ONE,
        len(tokens),
        "stop",
        tokens=tuple(tokens),
        token_probabilities=tuple(probabilities),
        digit_probabilities=tuple(digits),
    )
    return answer_confidences(completion, parse_answer(ONE, (640, 480)))[0]


def test_all_certain_is_one() -> None:
    assert with_digits({1: 1.0}, {5: 1.0}) == pytest.approx(1.0)


def test_uncertain_tenths_do_not_matter() -> None:
    assert with_digits({1: 1.0}, dict.fromkeys(range(10), 0.1)) == pytest.approx(1.0)


def test_neighbours_count_as_far_as_they_are_near() -> None:
    # 60.x lies within 2 of 61.5 whole; of 63.x the tenths 63.0 to 63.5 do; 64.x is too far.
    assert with_digits({1: 0.4, 0: 0.2, 3: 0.3, 4: 0.1}, {5: 1.0}) == pytest.approx(0.4 + 0.2 + 0.3 * 0.6)


def test_leading_digit_bounds_the_mass() -> None:
    assert with_digits({1: 0.5, 0: 0.5}, {5: 1.0}, first_x=0.8) == pytest.approx(0.8)


MOLMO2 = '<points coords="1 1 615 404">a</points>'


def with_thousandths(tens: dict[int, float], units: dict[int, float], first: float = 1.0) -> float:
    """Confidence of MOLMO2's point where all is certain but the digits of x: 6 (first), 1 (tens), 5 (units)."""
    tokens = list(MOLMO2)
    probabilities = [1.0] * len(tokens)
    digits: list[tuple[float, ...]] = [tuple(float(c == str(k)) for k in range(10)) if c.isdigit() else () for c in tokens]
    at = MOLMO2.index("615")
    probabilities[at] = first
    for place, given in ((at + 1, tens), (at + 2, units)):
        digits[place] = tuple(given.get(k, 0.0) for k in range(10))
        probabilities[place] = digits[place][int(tokens[place])]
    completion = Completion(MOLMO2, len(tokens), "stop", {}, tuple(tokens), tuple(probabilities), tuple(digits))
    return answer_confidences(completion, parse_answer(MOLMO2, (640, 480), "molmo2"))[0]


def test_thousandths_weigh_as_the_same_percent_does() -> None:
    assert with_thousandths({1: 1.0}, dict.fromkeys(range(10), 0.1)) == pytest.approx(1.0)
    # 600 to 609 lie within 20 of 615 whole; of 63x 630 to 635 do; 64x is too far.
    assert with_thousandths({1: 0.4, 0: 0.2, 3: 0.3, 4: 0.1}, {5: 1.0}) == pytest.approx(0.4 + 0.2 + 0.3 * 0.6)
    assert with_thousandths({1: 0.5, 0: 0.5}, {5: 1.0}, first=0.8) == pytest.approx(0.8)


@pytest.mark.parametrize(("coords", "expected"), [("100", 1.0), ("1000", 1.0), ("000", 1.0)])
def test_thousandths_at_the_ends(coords: str, expected: float) -> None:
    text = f'<points coords="1 1 {coords} 500">a</points>'
    digits = tuple(tuple(float(c == str(k)) for k in range(10)) if c.isdigit() else () for c in text)
    completion = Completion(text, len(text), "stop", {}, tuple(text), (1.0,) * len(text), digits)
    assert answer_confidences(completion, parse_answer(text, (640, 480), "molmo2")) == pytest.approx((expected,))


def test_molmopoint_multiplies_its_three_tokens() -> None:
    text = "<POINT_0><POINT_3><POINT_5>12"
    layout = PointTokenLayout(np.array([[0]]), (np.array([[0]]),), ((10, 10),))
    answer = parse_answer("<POINT_0><POINT_2><POINT_3>12", (10, 10), "molmopoint", layout=layout)
    tokens = ("<POINT_0>", "<POINT_2>", "<POINT_3>", "1", "2")
    completion = Completion("".join(tokens), 5, "stop", {}, tokens, (0.5, 0.8, 0.9, 0.1, 0.1))
    assert len(answer.points) == 1
    assert answer_confidences(completion, answer) == pytest.approx((0.5 * 0.8 * 0.9,))
    assert parse_answer(text, (10, 10), "molmopoint", layout=layout).points == ()
