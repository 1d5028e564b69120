"""Outputs of commands: an input, a foreign file, a link or a device is never overwritten; a file of before is."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from molmo_point import InputError
from molmo_point.calibration.boards import DEFAULT, board_pdf, board_yaml
from molmo_point.calibration.reports import page
from molmo_point.cli.command_line import main
from molmo_point.cli.output import report_files
from molmo_point.cli.overwriting import Output, OutputFormat, check_outputs, signed_yaml
from molmo_point.files import encode_png, write_file
from molmo_point.viz.overlay import save_png

PICTURE = np.zeros((8, 8, 3), np.uint8)


def check(path: Path, form: OutputFormat = OutputFormat.PNG, *, force: bool = False, **options: Any) -> None:
    given = argparse.Namespace(force=force, overlay=path, **options)
    check_outputs(given, Output("--overlay", path, form))


def ours(folder: Path) -> dict[OutputFormat, Path]:
    """Files of every format, written as the commands write them."""
    from molmo_point import Intrinsics, RgbdFrame
    from molmo_point.viz.point_cloud import CLOUD_MARKS, save_ply

    paths = {form: folder / f"ours.{form.name.lower()}" for form in OutputFormat}
    save_png(paths[OutputFormat.PNG], PICTURE)
    depth = np.ones((8, 8), np.float32)
    save_ply(paths[OutputFormat.PLY], RgbdFrame(PICTURE, depth, Intrinsics(8, 8, 8.0, 8.0, 4.0, 4.0), stamp_ns=1))
    html, text = report_files(folder, {"a": 1}, page("title", ["a part"])).values()
    pcd = b"".join(CLOUD_MARKS[".pcd"])
    contents = {OutputFormat.PCD: pcd, OutputFormat.HTML: html, OutputFormat.JSON: text, OutputFormat.PDF: board_pdf(DEFAULT)}
    for form, data in {**contents, OutputFormat.YAML: signed_yaml(board_yaml(DEFAULT))}.items():
        write_file(paths[form], data)
    return paths


def test_a_file_of_before_may_be_written_again_in_its_format_only(tmp_path: Path) -> None:
    for form, path in ours(tmp_path).items():
        for other in OutputFormat:
            if other is form:
                check(path, other)
                continue
            with pytest.raises(InputError, match="has not made"):
                check(path, other)


def test_an_edited_calibration_is_kept(tmp_path: Path) -> None:
    path = ours(tmp_path)[OutputFormat.YAML]
    path.write_text(path.read_text().replace("0.03", "0.0297"))
    with pytest.raises(InputError, match="--force"):
        check(path, OutputFormat.YAML)


@pytest.mark.parametrize("content", [b"my notes", b"", encode_png(PICTURE), b"\x89PNG\r\n\x1a\n molmo-point", b"# molmo-point"])
def test_a_foreign_file_needs_force(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for form in OutputFormat:
        with pytest.raises(InputError, match="--force"):
            check(path, form)
        check(path, form, force=True)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("spelling", ["same", "link", "hard_link", "dots", "relative", "camera", "camera_option", "list"])
def test_an_input_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str, force: bool) -> None:
    path = tmp_path / "mine.png"
    save_png(path, PICTURE)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    given: Any = {
        "same": path,
        "link": tmp_path / "link.png",
        "hard_link": tmp_path / "hard.png",
        "dots": tmp_path / "folder" / ".." / "mine.png",
        "relative": Path("mine.png"),
        "list": [Path("other.png"), path],
        "camera": f"images:{path}",
        "camera_option": f"images:other.png?intrinsics={path}",
    }[spelling]
    if spelling == "link":
        given.symlink_to("mine.png")
    if spelling == "hard_link":
        os.link(path, given)
    with pytest.raises(InputError, match="must not overwrite an input"):
        check(path, force=force, **{"camera" if spelling.startswith("camera") else "image": given})


@pytest.mark.parametrize("force", [False, True])
def test_a_file_of_an_input_folder_is_kept(tmp_path: Path, force: bool) -> None:
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "000000_color.png").write_bytes(encode_png(PICTURE))
    (folder / "manifest.json").write_text("{}")
    for given in (folder, folder / "manifest.json"):
        with pytest.raises(InputError, match="input folder"):
            check(folder / "000000_color.png", force=force, recording=given)
        check(folder / "new.png", force=force, recording=given)


def test_no_regular_file_is_an_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "fifo", tmp_path / "link", tmp_path / "folder", Path("/dev/null"), tmp_path / "no" / "a.png"):
        with pytest.raises(InputError, match="--overlay must be a file in a folder that can be written"):
            check(path, force=True)


def test_two_outputs_need_two_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    options = argparse.Namespace(force=True, overlay=path, ply=tmp_path / "." / "a.png")
    outputs = Output("--overlay", options.overlay, OutputFormat.PNG), Output("--ply", options.ply, OutputFormat.PLY)
    with pytest.raises(InputError, match="different files"):
        check_outputs(options, *outputs)


def test_the_command_ends_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, notes = tmp_path / "image.png", tmp_path / "notes.txt"
    Image.fromarray(PICTURE).save(image)
    notes.write_text("my notes")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "report.html").write_text("my report")
    for command in (
        ["point", "a cup", "--image", str(image), "--overlay", str(image), "--force"],
        ["point", "a cup", "--image", str(image), "--view3d", str(notes)],
        ["count", "cups", "--image", str(image), "--overlay", str(notes)],
        ["demo", "--out", str(notes)],
        ["bench", "--out", str(notes)],
        ["eval", "tabletop", "--out", str(notes)],
        ["eval", "calibration", "--plot", str(notes)],
        ["calibrate", "board", "--out", str(notes / "board")],
        ["calibrate", "hand-eye", str(image), "--out", str(folder)],
        ["calibrate", "verify", str(image), "--touch", str(notes), "--out", str(folder)],
        ["calibrate", "intrinsics", "--images", str(image), "--board", str(notes), "--out", str(folder)],
    ):
        assert main([*command, "--model", "no/such"] if command[0] in ("point", "count") else command) == 1, command
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert "overwrite" in said.err or "can be written" in said.err, said.err
    assert notes.read_text() == "my notes"
    assert (folder / "report.html").read_text() == "my report"
