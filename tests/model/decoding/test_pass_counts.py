"""How many passes answers take with the released tokenizer, and with one that joins digits.

A model that follows a script stands in for the weights: what it says is certain, and it says it
only to those who see exactly what they should.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from molmo_point.model.decoding.decoder import Row
from molmo_point.model.decoding.templates import ExpectedAnswer, complete_points
from molmo_point.model.decoding.token_tree import TokenTree
from molmo_point.points.stop_rule import GrowingAnswer
from molmo_point.request import PointRequest

from ...scripted_backend import Scripted

COUNTS = (1, 2, 5, 10, 20, 40)


class NgramDrafter:
    """Prompt look-up: what followed the last few tokens when they last occurred, five tokens of it."""

    def __init__(self, prompt: Sequence[int], longest: int = 4, shortest: int = 2, count: int = 5) -> None:
        self.prompt, self.longest, self.shortest, self.count = list(prompt), longest, shortest, count

    def draft(self, ids: Sequence[int], text: str) -> TokenTree:
        tree, known = TokenTree(), [*self.prompt, *ids]
        for n in range(self.longest, self.shortest - 1, -1):
            for start in range(len(known) - n - 1, -1, -1):
                if known[start : start + n] == known[-n:]:
                    tree.add(known[start + n : start + n + self.count])
                    return tree
        return tree


def passes_per_point(row: Row, texts: Any) -> list[int]:
    """For each point the passes after the prefill when it was complete."""
    found, text = [], ""
    for token, passes in zip(row.token_ids, row.passes_at):
        text += texts(token)
        found += [passes] * (complete_points(text) - len(found))
    return found


def decode(scripted: Any, words: Any, answer: dict, drafter: Any, **options: Any) -> Row:
    """Decodes an answer and makes sure that it is the answer."""
    ids = words.encode(answer["text"])
    row = scripted(words, words.encode(answer["prompt"]), ids, drafter, **options)
    assert (row.token_ids, row.finish_reason) == (ids, "stop")
    assert row.passes_at == sorted(row.passes_at)
    return row


def request_of(answer: dict) -> ExpectedAnswer:
    return ExpectedAnswer(answer["style"], answer["label"])


@pytest.fixture(scope="module")
def template_rows(scripted: Any, released: Any, recorded: Any) -> dict[bool, list[tuple[dict, Row]]]:
    """All answers decoded without fans, every third with fans."""
    return {
        fans: [(a, decode(scripted, released, a, released.drafter(request_of(a), fans=fans))) for a in recorded.answers[::step]]
        for fans, step in ((False, 1), (True, 3))
    }


@pytest.mark.parametrize(("fans", "first_goal", "further_goal"), [(False, 5, 6.1), (True, 2, 3.1)])
def test_gate_passes_to_the_first_and_to_each_further_point(
    template_rows: Any, released: Any, fans: bool, first_goal: int, further_goal: float
) -> None:
    further: list[int] = []
    for answer, row in template_rows[fans]:
        at = passes_per_point(row, released.token_text)
        assert len(at) == answer["count"]
        assert at[0] <= first_goal
        further += np.diff(at).tolist()
        # The label and the closing words are one pass more.
        assert row.passes == at[-1] + 1
    assert len(further) >= 200
    assert np.mean(further) <= further_goal
    assert max(further) <= further_goal


@pytest.mark.parametrize("count", COUNTS)
def test_fewer_passes_than_plain_and_than_ngrams(template_rows: Any, scripted: Any, released: Any, count: int) -> None:
    pairs = [(a, row) for a, row in template_rows[False] if a["count"] == count]
    plain = [len(a["ids"]) for a, _ in pairs]
    template = [row.passes for _, row in pairs]
    # Three of ten: n-grams are slow to count and differ little.
    ngram = [decode(scripted, released, a, NgramDrafter(a["prompt_ids"])).passes for a, _ in pairs[:3]]
    assert np.mean(plain) / np.mean(template) >= (4.2 if count == 1 else 2.85)
    assert all(ours < theirs <= tokens for ours, theirs, tokens in zip(template, ngram, plain))
    if count > 1:
        assert np.mean(ngram) / np.mean(template[:3]) > 1.9


def test_plain_decoding_is_a_pass_a_token(scripted: Any, released: Any, recorded: Any) -> None:
    for answer in recorded.answers[:4]:
        row = decode(scripted, released, answer, None)
        assert row.passes == len(answer["ids"])
        assert row.passes_at == list(range(len(answer["ids"])))
        assert (row.drafted, row.accepted) == (0, 0)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_the_last_answer_costs_nothing_when_nothing_moved(scripted: Any, released: Any, recorded: Any, moved: int) -> None:
    answers = [a for a in recorded.answers if a["count"] in (1, 10)]
    per_point = []
    for answer in answers:
        drafter = released.drafter(request_of(answer), last_answer=answer["before"][moved], fans=False)
        row = decode(scripted, released, answer, drafter)
        per_point.append(row.passes / answer["count"])
        if moved == 0:
            assert row.passes == 0 and answer["before"][0] == answer["text"]
    assert np.mean(per_point) <= (0, 1.5, 3.5)[moved]


def test_every_kind_of_answer_is_the_same_whatever_is_drafted(scripted: Any, released: Any, recorded: Any) -> None:
    one, many = recorded.answers[1], recorded.answers[22]
    asked = ExpectedAnswer("pointing", "red mug")
    texts = [" There are none.", " This isn't in the image.", ".", one["text"], many["text"], many["text"][:40], ""]
    lasts = ["", " There are none.", one["text"], many["text"], many["before"][2]]
    for text in texts:
        for last in lasts:
            for request in (asked, request_of(one), ExpectedAnswer()):
                answer = {"text": text, "prompt": one["prompt"]}
                row = decode(scripted, released, answer, released.drafter(request, last_answer=last, limit=64))
                assert row.passes <= len(row.token_ids)
                assert row.accepted <= row.drafted
    absent = decode(scripted, released, {"text": " There are none.", "prompt": one["prompt"]}, released.drafter(asked))
    assert absent.passes == 0


@pytest.mark.parametrize("number", ["0.0", "4.5", "61.5", "100.0"])
def test_numbers_of_every_length(scripted: Any, released: Any, recorded: Any, number: str) -> None:
    answer = recorded.answers[0]
    text = f' <point x="{number}" y="{number}" alt="red mug">red mug</point>'
    passes = {}
    for fans in (False, True):
        row = decode(
            scripted, released, answer | {"text": text}, released.drafter(ExpectedAnswer("pointing", "red mug"), fans=fans)
        )
        passes[fans] = passes_per_point(row, released.token_text)[0]
    assert (passes[False], passes[True]) == {"0.0": (3, 2), "4.5": (3, 2), "61.5": (5, 2), "100.0": (7, 5)}[number]


def test_a_label_that_is_not_echoed_costs_passes_alone(scripted: Any, released: Any, recorded: Any) -> None:
    answer = recorded.answers[20]
    right = decode(scripted, released, answer, released.drafter(request_of(answer)))
    wrong = decode(scripted, released, answer, released.drafter(ExpectedAnswer(answer["style"], "windows")))
    unknown = decode(scripted, released, answer, released.drafter(ExpectedAnswer(answer["style"])))
    assert right.passes < wrong.passes <= right.passes + 4
    assert right.passes < unknown.passes <= right.passes + 4


def tokens_without_labels(row: Any, words: Any, count: int) -> int:
    """Count the tokens of a row until its coordinates are written."""
    growing = GrowingAnswer(PointRequest("mugs", max_points=count + 1, labels=False), Scripted(""), (640, 480))
    text = ""
    for number, token in enumerate(row.token_ids, start=1):
        text += words.token_text(token)
        growing.read(text)
        if growing.enough:
            assert complete_points(text) == count
            return number
    raise AssertionError("the answer never had enough points")


def test_coordinates_need_no_label(scripted: Any, released: Any, recorded: Any) -> None:
    for answer in (recorded.answers[0], recorded.answers[20]):
        asked = (released, answer["prompt_ids"], answer["ids"])
        row, plain = scripted(*asked, released.drafter(request_of(answer))), scripted(*asked, None)
        enough = tokens_without_labels(row, released, answer["count"])
        assert enough < len(answer["ids"]) - 4
        assert row.passes_at[enough - 1] < plain.passes_at[enough - 1] / 2


# --- Other tokenizers -------------------------------------------------------------------------------------------


def test_gate_a_tokenizer_that_joins_digits(scripted: Any, joining: Any, recorded: Any) -> None:
    further: list[int] = []
    for answer in recorded.answers[:50:3]:
        row = decode(scripted, joining, answer, joining.drafter(request_of(answer)))
        at = passes_per_point(row, joining.token_text)
        assert len(at) == answer["count"] and at[0] <= 3
        further += np.diff(at).tolist()
        assert row.passes == at[-1] + 1
    assert set(further) == {4}


@pytest.mark.parametrize(("fans", "first", "further"), [(False, 5, 6), (True, 2, 3)])
def test_gate_the_embedded_tokenizer(scripted: Any, tabletop: Any, fans: bool, first: int, further: int, recorded: Any) -> None:
    words = tabletop.words
    for answer in recorded.answers[:50:9]:
        row = decode(scripted, words, answer, words.drafter(request_of(answer), fans=fans))
        at = passes_per_point(row, words.token_text)
        assert len(at) == answer["count"] and at[0] <= first
        assert max(np.diff(at), default=0) <= further
