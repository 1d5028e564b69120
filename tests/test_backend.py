"""New families, URL schemes and dialects through their registries alone, and the defaults of a backend."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from molmo_point import Pointer, parse_answer
from molmo_point.backend import FAMILIES, SCHEMES, Family, Limits, Prompt, WholeAnswerBackend, open_backend
from molmo_point.errors import CheckpointError, InputError
from molmo_point.points.answer import CoordinatePair
from molmo_point.points.dialects import DIALECTS, dialect_of
from molmo_point.points.dialects.dialect import Dialect
from molmo_point.request import Kind, PointRequest
from molmo_point.results import Completion

IMAGE = np.zeros((100, 200, 3), np.uint8)


class Middle(WholeAnswerBackend):
    """A model that points at the middle in its family's syntax."""

    name, dialect = "middle", "shares"

    def answer(self, image, prompt, limits):
        return Completion(f"{prompt.text} -> 0.5|0.25", 3, "stop")


class Shares(Dialect):
    """Points as shares of the image, `u|v`."""

    name, full = "shares", (1.0, 1.0)

    def ask_to_point(self, words):
        return f"where {words}"

    def ask_to_count(self, words):
        return f"how many {words}"

    def find_points(self, text, problems, *, growing=False):
        arrow = text.find("-> ")
        if arrow >= 0 and not growing:
            u, v = text[arrow + 3 :].split("|")
            start, middle = arrow + 3, text.index("|")
            yield CoordinatePair(float(u), float(v), (start, middle), (middle + 1, len(text)), full=self.full)

    def is_cut_off(self, text):
        return False


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line that a family, a scheme and a dialect take each."""
    module = types.ModuleType("added_model")
    module.load = lambda source: Middle()
    module.connect = lambda url, **options: Middle()
    module.Shares = Shares
    monkeypatch.setitem(sys.modules, "added_model", module)
    monkeypatch.setitem(FAMILIES, "middle", Family("added_model:load", "Points at the middle", "shares"))
    monkeypatch.setitem(SCHEMES, "test", "added_model:connect")
    monkeypatch.setitem(DIALECTS, "shares", "added_model:Shares")


def middle_of(pointer: Pointer) -> tuple[float, float]:
    pointing = pointer.point(IMAGE, "the mug")
    assert pointing.text == "where mug -> 0.5|0.25"
    (found,) = pointing
    return found.point.u, found.point.v


@pytest.mark.usefixtures("added")
def test_a_family_is_a_loader_and_a_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "middle"}))
    assert middle_of(Pointer.from_pretrained(tmp_path)) == (99.5, 24.5)


def test_without_its_line_a_family_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "middle"}))
    with pytest.raises(CheckpointError, match="middle"):
        Pointer.from_pretrained(tmp_path)


@pytest.mark.usefixtures("added")
def test_a_url_scheme_is_a_function_and_a_line() -> None:
    assert middle_of(Pointer.from_pretrained("test://host:8000/v1")) == (99.5, 24.5)
    with pytest.raises(InputError, match="known scheme") as caught:
        open_backend("gopher://host")
    assert "test://" in caught.value.fix


@pytest.mark.usefixtures("added")
def test_a_dialect_is_a_class_and_a_line() -> None:
    (point,) = parse_answer("-> 0.5|0.25", (200, 100), dialect="shares").points
    assert (point.u, point.v) == (99.5, 24.5)


def test_an_unknown_dialect_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="dialect") as caught:
        parse_answer("", (2, 2), dialect="shares")
    assert all(name in caught.value.fix for name in DIALECTS)
    with pytest.raises(InputError, match="dialect"):
        dialect_of("shares")


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_every_dialect_words_a_request_and_keeps_its_kind(name: str) -> None:
    dialect = dialect_of(name)
    for kind in (Kind.POINT, Kind.COUNT):
        prompt = dialect.prompt(PointRequest("the red mug", kind))
        assert "red mug" in prompt.text
        assert (prompt.kind, prompt.words) == (kind, "red mug")
    assert dialect.name == name


def test_a_backend_has_defaults_that_say_unknown() -> None:
    backend = Middle()
    assert np.isnan(backend.sigma_px)
    assert not backend.tells_spread and not backend.batches
    assert backend.spreads(IMAGE, Prompt("where"), Completion("", 0, "stop")) == ()
    assert backend.complete(IMAGE, Prompt("where"), Limits(9)).text == "where -> 0.5|0.25"
