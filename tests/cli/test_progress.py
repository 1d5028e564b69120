"""Long work says how far it is; what is worked through stays the same."""

from molmo_point.cli.progress import counted


def test_a_bar_on_stderr(capsys):
    assert list(counted(iter("abc"), 3, "letter")) == ["a", "b", "c"]
    said = capsys.readouterr()
    assert "letters" in said.err and "3/3" in said.err and not said.out
