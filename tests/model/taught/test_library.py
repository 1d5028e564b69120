"""A library as a value: teaching, words, renaming, merging; every change leaves the old one as it was."""

from dataclasses import replace

import pytest

from molmo_point.errors import InputError
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.taught_object import thumbnail_png
from tests.model.taught.scenes import BLUE, RED, views


def test_a_query_names_one_object_or_all_of_a_category(mugs: Library) -> None:
    assert [each.name for each in mugs.named("Point to my mugs, please")] == ["my mug"]
    assert [each.name for each in mugs.named("the red one of mine")] == ["my mug"]
    assert [each.name for each in mugs.named("a mug")] == ["my mug", "spare mug"]
    assert [each.name for each in mugs.named("how many mugs are there?")] == ["my mug", "spare mug"]
    assert mugs.named("blue mug") == ()


def test_the_owner_may_be_missing_in_a_name_but_not_in_a_category(mugs: Library) -> None:
    assert [each.name for each in mugs.named("my spare mug")] == ["spare mug"]
    assert mugs.forgotten("my mug").named("my mug") == ()


def test_views_are_kept_with_their_pictures(mugs: Library) -> None:
    mug = mugs.find("My Mug")
    assert len(mug.views) == 2 and mug.views[0].origin == "scene 1" and mug.stamp_ns == 2
    assert max(mug.views[0].thumbnail.shape) == 96 or mug.views[0].thumbnail.shape[0] >= 48
    red = mug.views[0].thumbnail.reshape(-1, 3).mean(0)[0]
    assert red > 100 and thumbnail_png(mug.views[0]).startswith(b"\x89PNG")


def test_teaching_leaves_the_heads_of_other_objects(pen: Library) -> None:
    more = pen.taught("my mug", views("my mug", RED, (1,)))
    assert more.names == ("a pen", "my mug") and pen.names == ("a pen",) and more.heads["a pen"] is pen.heads["a pen"]


def test_views_can_be_added_and_taken(mugs: Library) -> None:
    with pytest.raises(InputError, match=r"^name must not be that of another taught object"):
        mugs.taught("My  mug", views("x", RED, (3,)))
    more = mugs.taught("my mug", views("x", RED, (3,)), aliases=["cup"], add=True)
    assert [view.origin for view in more.find("cup").views] == ["scene 1", "scene 2", "scene 3"]
    assert more.find("my mug").categories == ("a mug",)
    less = more.without_view("my mug", 0)
    assert [view.origin for view in less.find("my mug").views] == ["scene 2", "scene 3"]
    with pytest.raises(InputError, match=r"^view must"):
        less.without_view("my mug", 2)


def test_objects_are_renamed_and_forgotten(mugs: Library) -> None:
    renamed = mugs.renamed("my mug", "tea cup")
    assert renamed.names == ("tea cup", "spare mug") and renamed.named("my mug") == ()
    assert renamed.heads["tea cup"] is mugs.heads["my mug"]
    assert mugs.forgotten("the red one of mine").names == ("spare mug",)
    with pytest.raises(InputError, match=r"'my mgu'; it has 'my mug', 'spare mug'.*Fix: use 'my mug'"):
        mugs.forgotten("my mgu")
    for taken in ("Spare Mug", "mug"):
        with pytest.raises(InputError, match=r"^\w+ must not be"):
            mugs.renamed("my mug", taken)


def test_words_are_added_and_taken(mugs: Library) -> None:
    more = mugs.with_alias("my mug", "cup").with_words("spare mug", categories=["green thing", "Green things"])
    assert more.find("cup").name == "my mug" and [each.name for each in more.named("green thing")] == ["spare mug"]
    assert more.without_words("my mug", "Cup").find("my mug").aliases == ("the red one of mine",)
    for words in ({"aliases": ["spare mug"]}, {"categories": ["spare mug"]}, {"categories": ["my mug"]}, {"aliases": ["mug"]}):
        with pytest.raises(InputError, match="must not be"):
            more.with_words("my mug", **words)
    with pytest.raises(InputError, match=r"^word must be.*it has 'mug', 'green thing'"):
        more.without_words("spare mug", "red thing")
    with pytest.raises(InputError, match=r"^aliases must be a list"):
        more.with_words("my mug", aliases="cup")


def test_libraries_merge_if_their_names_agree(mugs: Library, pen: Library) -> None:
    both = mugs.merged(replace(pen, title="pens"))
    assert both.names == ("my mug", "spare mug", "a pen") and set(both.heads) == set(both.names) and both.title == "pens"
    assert mugs.merged(mugs).names == mugs.names
    other = replace(pen.renamed("a pen", "My mug"), title="robot")
    with pytest.raises(InputError, match=r"in robot.*taught rename"):
        mugs.merged(other)
    assert mugs.merged(other.renamed("my mug", "the robot's mug")).names[-1] == "the robot's mug"


def test_objects_that_look_alike_are_told(mugs: Library) -> None:
    twins = mugs.taught("twin", views("twin", RED, (1, 2)))
    assert "my mug" in twins.looks_like("twin") and mugs.looks_like("my mug") == ()


def test_a_library_without_views_or_of_other_features_is_refused(mugs: Library) -> None:
    with pytest.raises(InputError, match=r"^views must not be empty"):
        mugs.taught("a pen", [])
    other = Library("lite9-0123456789ab")
    with pytest.raises(InputError, match=r"^library must be of features that this version has"):
        other.taught("a pen", views("a pen", BLUE, (5,)))
    with pytest.raises(InputError, match=r"^libraries must be of the same features"):
        mugs.merged(other)
