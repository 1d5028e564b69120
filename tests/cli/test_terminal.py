"""Names from files, messages and models reach the terminal without control characters."""

import io
import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.calibration.static_transform import publisher_command
from molmo_point.cli.command_line import main
from molmo_point.cli.output import progress, publish, show
from molmo_point.cli.terminal import PrintableStream, printable_streams
from molmo_point.geometry.transforms import Transform

ESCAPE = "base\x1b]0;title\x07\x1b[31m\x9b2J\u202e\nmolmo-point: done\x7f"


class Options:
    def __init__(self, *, as_json: bool, out: Path | None = None) -> None:
        self.json, self.out = as_json, out


def controls(text: str) -> set[str]:
    return {letter for letter in text if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")}


def test_a_stream_shows_controls() -> None:
    under = io.StringIO()
    stream = PrintableStream(under)
    print(ESCAPE, "\ttab", file=stream)
    assert controls(under.getvalue()) == {"\t"}
    assert not stream.isatty()


def test_a_return_within_a_line_does_not_overwrite_it() -> None:
    under = io.StringIO()
    stream = PrintableStream(under)
    stream.write("\r 50 %|####    |")
    stream.write("a.png: broken\rall is well\n")
    assert under.getvalue() == "\r 50 %|####    |a.png: broken\\rall is well\n"


def test_a_bar_below_another_moves_the_cursor() -> None:
    under = io.StringIO()
    PrintableStream(under).write("\n\x1b[A\r")
    assert under.getvalue() == "\n\x1b[A\r"


def test_lines_stay_lines_and_json_stays_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with printable_streams():
        show(Options(as_json=False), {}, [f"frame   {ESCAPE}"])  # type: ignore[arg-type]
        progress(ESCAPE)
        print(f"warning: {ESCAPE}", file=sys.stderr)
    said = capsys.readouterr()
    assert not controls(said.out + said.err)
    assert said.out.count("\n") == 1
    with printable_streams():
        show(Options(as_json=True), {"frame": ESCAPE}, [])  # type: ignore[arg-type]
    text = capsys.readouterr().out
    assert not controls(text)
    assert json.loads(text) == {"frame": ESCAPE}
    with printable_streams():
        publish(Options(as_json=True), {"label": ESCAPE}, "")  # type: ignore[arg-type]
    text = capsys.readouterr().out
    assert not controls(text)
    assert json.loads(text)["label"] == ESCAPE


@pytest.mark.parametrize(
    "command",
    [
        ["point", "a cup", "--image", ESCAPE],
        ["point", f"a cup{ESCAPE}", "--image", "a.png"],
        ["point", "a cup", "--recording", ESCAPE],
        ["point", "a cup", "--camera", ESCAPE],
        ["point", "a cup", "--index", ESCAPE],
        ["calibrate", "hand-eye", ESCAPE],
        ["calibrate", "board", "--kind", ESCAPE],
        ["eval", ESCAPE],
        [ESCAPE],
    ],
)
def test_an_error_is_one_line_without_controls(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) in (1, 2)
    said = capsys.readouterr()
    assert said.out == ""
    assert not controls(said.err)
    assert said.err.count("\n") == 1


def test_names_in_files_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, intrinsics, transform = tmp_path / "a.png", tmp_path / "odd.json", tmp_path / "transform.json"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(image)
    intrinsics.write_text(json.dumps({"width": 8, "height": 8, "fx": 8, "fy": 8, "cx": 4, "cy": 4, "distortion_model": ESCAPE}))
    values = {"target": "base", "source": ESCAPE, "translation_m": [0, 0, 0], "quaternion_xyzw": [0, 0, 0, 1]}
    transform.write_text(json.dumps(values))
    for more in (["--intrinsics", str(intrinsics)], ["--transform", str(transform)]):
        assert main(["point", "a cup", "--image", str(image), *more]) == 1
        said = capsys.readouterr().err
        assert "molmo-point: " in said
        assert not controls(said)
        assert said.count("\n") == 1


def test_a_long_error_keeps_its_beginning_and_its_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["point", "a cup", "--near", "9" * 100_000, "--image", "a.png"]) == 1
    said = capsys.readouterr().err
    assert len(said) < 2100
    assert "--near must be" in said
    assert "give column and row" in said


def test_a_command_to_copy_quotes_its_names() -> None:
    transform = Transform.from_quaternion("base; rm -rf ~", "camera", [0, 0, 0, 1], [0, 0, 0])
    assert "--frame-id 'base; rm -rf ~' --child-frame-id camera" in publisher_command(transform)
