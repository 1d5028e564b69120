"""`ask` and `caption` from a file to stdout, with a scripted model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from molmo_point.backend import WholeAnswerBackend
from molmo_point.cli import main
from molmo_point.cli.exit_codes import EXIT_NOT_TRAINED
from molmo_point.errors import NotTrainedError
from molmo_point.pointer import Pointer
from molmo_point.results import Completion


class ScriptedBackend(WholeAnswerBackend):
    """Says the same whatever it is shown, and is noisy on stdout as libraries are."""

    name = "scripted"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, tuple[int, ...]]] = []
        self.loaded: list[tuple[str, dict[str, Any]]] = []

    def answer(self, image, prompt, limits):
        self.asked.append((prompt.text, limits.max_new_tokens, image.shape))
        print("a library talks on stdout")
        return Completion(" A red mug.", 4, "length" if limits.max_new_tokens == 4 else "stop", {"decode": 5.0})


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ScriptedBackend:
    backend = ScriptedBackend()

    def from_pretrained(name_or_folder: str, **options: Any) -> Pointer:
        backend.loaded.append((name_or_folder, options))
        return Pointer(backend)

    monkeypatch.setattr(Pointer, "from_pretrained", staticmethod(from_pretrained))
    return backend


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "image.png")
    return str(tmp_path / "image.png")


def test_an_answer_is_printed_alone(model: ScriptedBackend, image: str, capsys: pytest.CaptureFixture) -> None:
    options = ["--style", "vqa2", "--dtype", "bfloat16", "--model", "some/model", "--quantization", "nf4", "--device", "cpu"]
    assert main(["ask", "What is this?", "--image", image, *options]) == 0
    assert capsys.readouterr().out == "A red mug.\n"
    assert model.asked == [("vqa2: What is this?", 512, (6, 8, 3))]
    assert model.loaded == [("some/model", {"device": "cpu", "quantization": "nf4", "dtype": "bfloat16", "taught": None})]


def test_a_caption_as_json(model: ScriptedBackend, image: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["caption", "--image", image, "--json", "--max-tokens", "4"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["text"], printed["finish_reason"]) == (" A red mug.", "length")
    assert model.asked == [("Describe this image.", 4, (6, 8, 3))]


def test_a_cut_off_answer_says_so(model: ScriptedBackend, image: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["caption", "--image", image, "--max-tokens", "4"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "A red mug.\n"
    assert "cut off after 4 tokens" in captured.err


@pytest.mark.parametrize("arguments", [["ask", "What?"], ["caption"], ["caption", "--json"], ["count", "mugs", "--json"]])
def test_a_model_that_was_not_trained_for_it_is_one_line_and_a_code_of_its_own(
    model: ScriptedBackend, image: str, arguments: list[str], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotTrainedError(
            "the model must be trained for free questions", "scripted,\ntrained to point", "use a released Molmo"
        )

    monkeypatch.setattr(model, "answer", refuse)
    assert main([*arguments, "--image", image]) == EXIT_NOT_TRAINED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and "Fix: use a released Molmo" in captured.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(["ask", " "], "empty"), (["ask", "What?", "--style", "haiku"], "haiku"), (["caption", "--max-tokens", "0"], "0"),
     (["ask"], "QUESTION")],
)  # fmt: skip
def test_mistakes_are_one_line(
    model: ScriptedBackend, image: str, arguments: list[str], part: str, capsys: pytest.CaptureFixture
) -> None:
    assert main([*arguments, "--image", image]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert part in captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err
    assert model.loaded == [], "a mistake is told before the slow loading"
