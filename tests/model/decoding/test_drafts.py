"""Drafts are the tokens that the model itself would write, whatever the tokenizer."""

import re
from typing import Any

import pytest

from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.templates import ExpectedAnswer
from molmo_point.model.decoding.token_tree import ROOT, TokenTree


def paths(tree: TokenTree) -> list[list[int]]:
    """Every branch from the first drafted token to a leaf."""
    parents = set(tree.parents)
    branches = []
    for leaf in range(len(tree)):
        if leaf in parents:
            continue
        node, branch = leaf, []
        while node != ROOT:
            branch.append(tree.tokens[node])
            node = tree.parents[node]
        branches.append(branch[::-1])
    return branches


def agreed(tree: TokenTree, following: list[int]) -> int:
    """How many of the following tokens are drafted."""
    node = ROOT
    for count, token in enumerate(following):
        found = tree.child(node, token)
        if found is None:
            return count
        node = found
    return len(following)


@pytest.fixture(params=["released", "joining", "tabletop"])
def words(request: pytest.FixtureRequest) -> Any:
    found = request.getfixturevalue(request.param)
    return found.words if request.param == "tabletop" else found


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("style", ["pointing", "counting"])
def test_everything_between_two_numbers_comes_as_its_own_tokens(words: Any, recorded: Any, count: int, style: str) -> None:
    answer = next(a for a in recorded.answers if a["count"] == count and a["style"] == style)
    ids, request = words.encode(answer["text"]), ExpectedAnswer(style, answer["label"])
    starts = [len(words.text(ids[:place])) for place in range(len(ids) + 1)]
    digits = {
        i for m in re.finditer(r'(?<= [xy])\d*="[\d.]+', answer["text"]) for i in range(m[0].index('"') + m.start(), m.end())
    }
    # Digits of coordinates are what the model has to say; all else is known as soon as they are.
    free = [start in digits and answer["text"][start].isdigit() for start in starts[:-1]]
    assert sum(free) >= 4 * count
    for place in range(len(ids)):
        tree = words.drafter(request, fans=False).draft(ids[:place], answer["text"][: starts[place]])
        stop = next((i for i in range(place, len(ids)) if free[i]), len(ids))
        assert agreed(tree, ids[place:]) == stop - place, answer["text"][: starts[place]]


def test_the_last_answer_is_drafted_whole_before_anything_is_written(words: Any, recorded: Any) -> None:
    answer = next(a for a in recorded.answers if a["count"] == 40)
    ids = words.encode(answer["text"])
    drafter = words.drafter(ExpectedAnswer(answer["style"], answer["label"]), last_answer=answer["text"])
    tree = drafter.draft([], "")
    assert agreed(tree, ids) == len(ids)
    assert len(tree) <= drafter.room
    for place in range(0, len(ids), 7):
        tree = drafter.draft(ids[:place], words.text(ids[:place]))
        assert agreed(tree, ids[place:]) == min(len(ids) - place, 64 if place else len(ids))


def test_fans_hold_every_second_digit_and_the_dot(released: Any) -> None:
    ids = released.encode(' <point x="6')
    digits, dot = released.vocabulary.digit_ids, released.encode(".")
    request = ExpectedAnswer("pointing", "red mug")
    tree = released.drafter(request).draft(ids, released.text(ids))
    assert sorted(paths(tree)) == sorted([dot, *([d, *dot] for d in digits)])
    assert paths(released.drafter(request, fans=False).draft(ids, released.text(ids))) == [dot]


def test_fans_hold_every_decimal_and_what_follows_it(released: Any) -> None:
    digits, dot = released.vocabulary.digit_ids, released.encode(".")
    request = ExpectedAnswer("pointing", "red mug")
    for more, before in (("1", dot), ("1.", [])):
        ids = released.encode(' <point x="6' + more)
        tree = released.drafter(request).draft(ids, released.text(ids))
        expected = [[*before, d, *released.encode('" y="')] for d in digits]
        assert sorted(path for path in paths(tree) if path not in (dot, [])) == sorted(expected)


def test_a_number_that_begins_has_all_its_first_digits(released: Any) -> None:
    digits = released.vocabulary.digit_ids
    ids = released.encode(' <point x="61.5')
    tree = released.drafter(ExpectedAnswer("pointing", "red mug")).draft(ids, released.text(ids))
    assert sorted(paths(tree)) == sorted([*released.encode('" y="'), d] for d in digits)
    assert not any(
        d in path
        for d in digits
        for path in paths(released.drafter(ExpectedAnswer("pointing", "red mug"), fans=False).draft(ids, released.text(ids)))
    )


def test_no_fans_where_digits_are_joined(joining: Any) -> None:
    ids = joining.encode(' <point x="6')
    assert paths(joining.drafter(ExpectedAnswer("pointing", "red mug"), fans=True).draft(ids, joining.text(ids))) == [
        joining.encode(".")
    ]


def test_nothing_is_drafted_where_nothing_is_known(words: Any) -> None:
    ids = words.encode(" This isn't in the image.")
    assert len(words.drafter(ExpectedAnswer("pointing", "red mug")).draft(ids, words.text(ids))) == 0
    assert len(words.drafter(ExpectedAnswer()).draft([], "")) == 0
    asked = ExpectedAnswer("pointing", "red mug")
    assert len(words.drafter(asked, template=False).draft([], "")) == 0
    assert len(words.drafter(asked, template=False, last_answer=" There are none.").draft([], "")) == len(
        words.encode(" There are none.")
    )


def test_a_draft_that_would_merge_with_what_is_written_is_dropped() -> None:
    vocabulary = ["a", "b", "ab", '="', "."]

    def encode(text: str) -> list[int]:
        ids = []
        while text:
            longest = max((i for i, t in enumerate(vocabulary) if text.startswith(t)), key=lambda i: len(vocabulary[i]))
            ids.append(longest)
            text = text[len(vocabulary[longest]) :]
        return ids

    drafter = Drafter(encode, vocabulary.__getitem__, ExpectedAnswer(), last_answer="ab.")
    assert paths(drafter.draft([], "")) == [[2, 4]]
    # After "a" alone, "b." would be one token "ab" together with it: the model never writes that pair.
    assert len(drafter.draft([0], "a")) == 0
    assert paths(drafter.draft([2], "ab")) == [[4]]


def test_the_limit_holds(released: Any, recorded: Any) -> None:
    answer = recorded.answers[-1]
    request = ExpectedAnswer(answer["style"], answer["label"])
    for limit in (0, 1, 5, 12):
        drafter = released.drafter(request, limit=limit)
        for place in (0, 6, 7, 12, len(answer["ids"]) - 20):
            assert len(drafter.draft(answer["ids"][:place], released.text(answer["ids"][:place]))) <= limit


def test_the_recording_is_strict_and_complete(released: Any, recorded: Any) -> None:
    with pytest.raises(KeyError):
        released.encode(" zebra")
    for answer in recorded.answers:
        assert released.encode(answer["text"]) == answer["ids"]
        assert released.encode(answer["prompt"]) == answer["prompt_ids"]
        assert released.text(answer["ids"]) == answer["text"]
    # As the released tokenizer has it: 26 tokens for one point, every digit its own.
    one = ' <point x="61.5" y="40.4" alt="red mug">red mug</point>'
    assert len(released.encode(one)) == 26
    assert [released.text([i]) for i in released.encode(one)[:8]] == [" <", "point", " x", '="', "6", "1", ".", "5"]
