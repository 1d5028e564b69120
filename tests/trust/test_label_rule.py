"""The rule that compares the model's own label with the query, on words that the fit of the rule has not seen."""

import pytest

from molmo_point.cautions import CautionKind
from molmo_point.trust.label_rule import check_labels, content_words, missing_share


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ("the red mug", "red mug"),
        ("THE RED MUG.", "red mug"),
        ("red mugs", "red mug"),
        ("all boxes on the table", "boxes"),
        ("could you point to the red mug, please?", "red mug"),
        ("a mug that is red", "red mug"),
        ("the red ones", "red mug"),
        ("the mug", "red mug"),
        ("glasses", "glass"),
        ("the handle of the mug", "mug handle"),
        ("die Tasse", "Tasse"),
        ("红色的杯子", "红色的杯子"),
        ("🍵", "🍵"),
        ("the red mug", ""),
    ],
)
def test_labels_that_fit_a_query(query: str, label: str) -> None:
    assert check_labels(query, [label]) is None


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ("a person", "blue cube"),
        ("the red mug", "red cube"),
        ("the spoon", "fork"),
        ("red mug", "green mug"),
        ("the spoon", "."),
        ("the spoon", '1="1.7'),
        ("the spoon", "br…"),
    ],
)
def test_labels_of_other_objects(query: str, label: str) -> None:
    caution = check_labels(query, [query, label])
    assert caution is not None and caution.kind is CautionKind.LABEL_DIFFERS
    assert query in caution.message and label in caution.message


def test_the_limit_is_a_share_of_the_words_of_the_label() -> None:
    assert missing_share("the red mug", "red cup") == 0.5
    assert check_labels("the red mug", ["red cup"], 0.5) is None
    assert check_labels("the red mug", ["blue cup"], 0.5) is not None
    assert check_labels("the red mug", ["blue cup"], 1.0) is None


def test_messages_are_one_short_printable_line() -> None:
    caution = check_labels("the red mug " * 60, ["\x1b[31m\n" + "cube " * 100])
    assert caution is not None and "\x1b" not in caution.message and "\n" not in caution.message and len(caution.message) < 200


def test_words_are_compared_in_the_singular() -> None:
    assert content_words("The red boxes, glasses and dishes of a bus") == {"red", "box", "glass", "dish", "bus"}
