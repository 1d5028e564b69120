"""Points while the text grows."""

import math

import pytest

from molmo_point.errors import InputError
from molmo_point.points.incremental_parser import IncrementalParser


def told(stream: IncrementalParser, *pieces: str) -> list[int]:
    return [len(stream.feed(piece)) for piece in pieces]


def test_points_come_as_soon_as_they_are_complete() -> None:
    stream = IncrementalParser((100, 100))
    assert told(stream, ' <points x1="10.5" y1="20.5', '"', ' x2="30"', ' y2="40" alt="a">a</points>') == [0, 1, 0, 1]
    assert stream.finish() == ()
    assert [(p.u, p.v) for p in stream.points] == [(10.0, 20.0), (29.5, 39.5)]


def test_molmo2_points_come_one_by_one() -> None:
    stream = IncrementalParser([(100, 100), (50, 50)], "molmo2")
    assert told(stream, '<points coords="1 1 100', " 20", "0", " 2 300 400", ";2 3 100 1", '00"', ">a") == [0, 0, 0, 1, 1, 1, 0]
    assert [(p.u + 0.5, p.image_index) for p in stream.points] == [(10, 0), (30, 0), (5, 1)]


def test_the_dialect_is_found_on_the_way() -> None:
    stream = IncrementalParser((100, 100), "auto")
    assert told(stream, 'Well, <points coords="1 1 100 200 ', '<point x="1.0" y="2.0">') == [1, 0]


def test_a_pair_that_could_go_on_waits() -> None:
    stream = IncrementalParser((100, 100))
    assert told(stream, "1=123, 456") == [0]
    assert [p.u + 0.5 for p in stream.finish()] == [12.3]
    stream = IncrementalParser((100, 100))
    assert told(stream, "1=123, 456", "7") == [0, 0]
    assert stream.finish() == ()


def test_a_point_that_may_repeat_another_waits_for_its_label() -> None:
    first = '<point x="1" y="2" alt="a">a</point>'
    for label, count in (("a", 1), ("b", 2)):
        stream = IncrementalParser((100, 100))
        assert told(stream, first, f'<point x="1" y="2" alt="{label}">{label}') == [1, 0]
        assert len(stream.feed("</point> ")) + len(stream.finish()) == count - 1


def test_labels_are_there_when_they_came_first() -> None:
    stream = IncrementalParser((100, 100), "molmo2")
    (point,) = stream.feed('<points alt="dogs" coords="1 1 100 200 ')
    assert (point.label, point.index) == ("dogs", 1)
    assert math.isnan(point.time_s)


def test_labels_are_there_later_when_they_came_last() -> None:
    stream = IncrementalParser((100, 100))
    (point,) = stream.feed('<point x="1" y="2" ')
    assert point.label == ""
    assert stream.feed('alt="dog">dog</point>') == ()
    assert [p.label for p in stream.points] == ["dog"]
    stream.feed(" and some more")
    assert [p.label for p in stream.points] == ["dog"]


def test_following_the_whole_text() -> None:
    stream = IncrementalParser((100, 100))
    text = '<point x="1" y="2" alt="🐕">🐕</point> <point x="3" y="4" alt="🐕">'
    for end in range(1, len(text) + 1):
        stream.follow(text[:end])
        stream.follow(text[:end] + "\ufffd\ufffd\ufffd")  # bytes of a character that is not complete
    assert [p.u + 0.5 for p in stream.points] == [1, 3]


def test_a_long_tag_is_looked_at_now_and_then_but_nothing_is_lost() -> None:
    stream = IncrementalParser((100, 100), "molmo2")
    text = '<points coords="1 ' + " ".join(f"{i % 90} {i:03d} {i % 900:03d}" for i in range(1000))
    for at in range(0, len(text), 3):
        stream.feed(text[at : at + 3])
    assert len(stream.points) > 850
    stream.finish()
    assert len(stream.points) == 999  # the last one might go on


def test_arguments_are_checked() -> None:
    with pytest.raises(InputError, match="size_wh"):
        IncrementalParser((0, 1))
    with pytest.raises(InputError, match="layout"):
        IncrementalParser((1, 1), "molmopoint")
    with pytest.raises(InputError, match="bytes"):
        IncrementalParser((1, 1)).feed(b"a")
