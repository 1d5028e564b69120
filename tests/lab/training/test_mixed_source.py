"""Plain scenes among household scenes: one set of classes, questions of the view's own kind."""

from pathlib import Path

import numpy as np
import pytest

from lab.training.mixed_source import MixedSource
from lab.training.sources import UNKNOWN, HouseholdSource, SimpleSource
from molmo_point.errors import InputError
from molmo_point.finetuning.queries import SeenObject
from molmo_point.sim.tabletop.objects import COLORS, SHAPES


@pytest.fixture(scope="module")
def both(household: Path, scenes: Path) -> tuple[HouseholdSource, SimpleSource]:
    return HouseholdSource(household), SimpleSource(scenes)


def test_a_plain_shape_has_the_classes_of_the_household_thing_of_that_name(both) -> None:
    mixed = MixedSource(*both, share=1.0)
    rng, checked = np.random.default_rng(3), 0
    for _ in range(8):
        view = mixed.draw(rng)
        assert view.classes.shape == (len(view.things), 3)
        for thing, classes in zip(view.things, view.classes, strict=True):
            assert isinstance(thing, SeenObject)
            if thing.color:
                assert tuple(classes) == both[0].classes_of_shape(thing.color, thing.shape)
                assert UNKNOWN not in classes
                checked += 1
    assert checked > 8
    assert len({both[0].classes_of_shape(color, shape) for color in COLORS for shape in SHAPES}) == len(COLORS) * len(SHAPES)


def test_the_share_says_how_many_are_plain_and_each_is_asked_about_in_its_own_way(both) -> None:
    mixed, rng = MixedSource(*both, share=0.25), np.random.default_rng(5)
    views = [mixed.draw(rng) for _ in range(200)]
    plain = [view for view in views if view.things and both[1].made(view)]
    assert 0.15 < len(plain) / len(views) < 0.35
    for view in views[:40]:
        for question in mixed.ask(view, 2, rng):
            assert hasattr(question, "kind") != any(view is one for one in plain)
    assert len(mixed) == len(both[0]) + len(both[1])


def test_what_cannot_be_mixed_is_refused(both) -> None:
    with pytest.raises(InputError, match="household scenes only"):
        MixedSource(both[1], both[1], 0.5)
    with pytest.raises(InputError, match="no share"):
        MixedSource(*both, share=1.5)
