"""The contract of errors: three parts, in every error of the package, and the built-in bases."""

import ast
import copy
from pathlib import Path

import pytest

import molmo_point.errors as errors

PACKAGE = Path(errors.__file__).parent
NAMES = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]


def test_message_has_the_three_parts() -> None:
    error = errors.InputError("The size is wrong", "(0, 4)", "give a size above zero")
    assert str(error) == "The size is wrong. Given: (0, 4). Fix: give a size above zero."


def test_parts_that_are_empty_are_left_out() -> None:
    assert str(errors.MolmoPointError("Nothing works!")) == "Nothing works!"
    assert str(errors.MolmoPointError("Nothing works", fix="try again")) == "Nothing works. Fix: try again."


def test_names_in_a_message_are_shown_on_one_line() -> None:
    error = errors.InputError("The file must\n be an image", "a\x1b[2J\u202e.png\r\n", "give\tone")
    assert str(error) == r"The file must be an image. Given: a\u001b[2J\u202e.png. Fix: give\tone."
    assert error.given == "a\x1b[2J\u202e.png\r\n"


def test_errors_survive_copying() -> None:
    error = copy.copy(errors.CameraError("a", "b", "c"))
    assert (error.what, error.given, error.fix) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "base"),
    [("InputError", ValueError), ("DependencyError", ImportError), ("CameraError", RuntimeError), ("FrameError", ValueError)],
)
def test_errors_are_also_the_builtin_that_fits(name: str, base: type[Exception]) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, base)
    assert issubclass(kind, errors.MolmoPointError)


def test_every_error_that_is_raised_has_three_parts() -> None:
    raised, short = 0, []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name not in NAMES or any(isinstance(argument, ast.Starred) for argument in node.args):
                continue
            raised += 1
            empty = any(isinstance(part, ast.Constant) and not part.value for part in node.args)
            if len(node.args) + len(node.keywords) < 3 or empty:
                short.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {name}")
    assert raised > 40
    assert not short, "errors without what, given and fix: " + ", ".join(short)
