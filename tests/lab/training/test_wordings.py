"""Plurals, and templates that hold what they should."""

import pytest

from lab.training.wordings import RELATIONS, plural
from molmo_point.finetuning.labels.wording import COUNT, MANY, ONE


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("mug", "mugs"), ("box", "boxes"), ("knife", "knives"), ("scissors", "scissors"), ("toy", "toys"), ("brush", "brushes"),
        ("bowl of fruit", "bowls of fruit"), ("cup and saucer", "cups and saucers"), ("battery", "batteries"),
    ],
)  # fmt: skip
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_every_template_asks_for_something() -> None:
    assert all(template.count("{q}") == 1 for template in (*ONE, *MANY, *COUNT))
    assert len({*ONE, *MANY, *COUNT}) > 30
    assert all(RELATIONS.values())
