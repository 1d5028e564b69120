"""Odd numbers and names on the command line: refused in one line, before anything is loaded."""

import pytest

from molmo_point.cli.command_line import main

ODD = ["-1", "", " ", "nan", "1.5", "1e3", "99999999999999999999", "9" * 5000, "१२", "0x10", "+1", "1_0", "\x1b[31m"]


@pytest.mark.parametrize("option", ["eval place --seed", "view --seed", "demo --seed", "view --objects", "demo --queries"])
def test_a_seed_and_an_amount_are_whole_numbers(capsys, option):
    for odd in [*ODD, "0"] if "seed" not in option else ODD:
        *command, name = option.split()
        assert main([*command, f"{name}={odd}"]) == 1
        output = capsys.readouterr()
        assert output.out == "" and len(output.err.splitlines()) == 1 and "\x1b" not in output.err
        assert name in output.err and "should not happen" not in output.err


@pytest.mark.parametrize("out", [".", "/", ""])
def test_a_board_needs_a_name(capsys, out):
    pytest.importorskip("cv2")
    assert main(["calibrate", "board", f"--out={out}"]) == 1
    assert "a path with a name" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--square-mm=0", "--columns=0", "--rows=0", "--marker-mm=0"])
def test_a_zero_is_no_default(capsys, tmp_path, option):
    pytest.importorskip("cv2")
    assert main(["calibrate", "board", f"--out={tmp_path}/board", option]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_a_link_to_itself_is_no_surprise(capsys, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert main(["point", "cube", f"--image={tmp_path}/loop"]) == 1
    assert "should not happen" not in capsys.readouterr().err
