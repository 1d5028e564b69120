"""Long work says how far it is, with tqdm and without; what is worked through stays the same."""

import sys

import pytest

from molmo_point.cli.progress import counted


def test_a_bar_on_stderr(capsys):
    assert list(counted(iter("abc"), 3, "letter")) == ["a", "b", "c"]
    said = capsys.readouterr()
    assert "letters" in said.err and "3/3" in said.err and not said.out


@pytest.mark.parametrize(("total", "lines"), [(3, 3), (200, 20)])
def test_lines_where_tqdm_is_not_installed(monkeypatch, capsys, total, lines):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert list(counted(range(total), total, "scene")) == list(range(total))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines and said[0] == f"scene 0 of {total}"
