"""The house: one name for one concept, no circles, short functions and folders, docstrings that begin well."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .test_import_law import OUTSIDE, PACKAGE, ROOT, imports_of, resolve

ROS = ROOT / "ros2_ws" / "src"
ROOMS = (PACKAGE, ROS, ROOT / "benchmarks", ROOT / "lab", ROOT / "demos", ROOT / "calibration")

SHARED_STEMS = {"__init__", "__main__"}
"""Names of modules that several folders of the wheel may have."""

LONG_FUNCTION, LONG_FILE, FULL_FOLDER = 50, 400, 20
LONG_FUNCTIONS = {
    "molmo_point/pointer.py:point": "its docstring is the manual of the main call",
    "molmo_point/model/architecture/causal_lm.py:forward": "the arguments of transformers' own forward",
}
"""Functions of the wheel that may be longer, with the reason; at most ten."""

LONG_FILES: dict[str, str] = {"molmo_point/results.py": "mostly the meaning of the fields of all results"}
"""Files of the wheel that may be longer, with the reason."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def python_files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- Imports ----------------------------------------------------------------------------------------------------


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            members = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(members) > 1:
                found.append(sorted(members))

    for node in list(graph):
        if node not in index:
            visit(node)
    return found


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def import_graph() -> dict[str, set[str]]:
    """Return the imports between the modules of the wheel, function bodies included."""
    modules = {module_name(path): path for path in python_files(PACKAGE)}
    graph = {}
    for name, path in modules.items():
        package = path.relative_to(ROOT).parts[:-1]
        named = {resolve(each) for each, _, _ in imports_of(tree_of(path), package)}
        # A module that is imported from a package is an edge to the module, not to the package.
        packages = {each.rpartition(".")[0] for each in named if each in modules}
        graph[name] = {each for each in named if each in modules and each != name} - (packages - {"molmo_point"})
    graph["molmo_point"] = set()
    return graph


def test_no_files_import_one_another_in_a_circle() -> None:
    assert circles(import_graph()) == []


def test_a_planted_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_the_graph_has_the_imports_of_functions() -> None:
    assert "molmo_point.evaluation.speed" in import_graph()["molmo_point.cli.bench"]


@pytest.mark.parametrize("path", python_files(ROS), ids=relative)
def test_ros_imports_neither_benchmarks_nor_lab(path: Path) -> None:
    named = {name.partition(".")[0] for name, _, _ in imports_of(tree_of(path), ())}
    assert named & set(OUTSIDE) == set()


# --- Names ------------------------------------------------------------------------------------------------------


def test_no_two_modules_of_the_wheel_have_one_name() -> None:
    places = defaultdict(list)
    for path in python_files(PACKAGE):
        places[path.stem].append(relative(path))
    twice = {stem: paths for stem, paths in places.items() if len(paths) > 1 and stem not in SHARED_STEMS}
    assert twice == {}


def test_no_two_public_classes_of_the_wheel_have_one_name() -> None:
    places = defaultdict(list)
    for path in python_files(PACKAGE):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(relative(path))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("stem", ["utils", "helpers", "common", "manager", "handler", "info"])
def test_no_module_has_a_name_that_says_nothing(stem: str) -> None:
    assert [relative(path) for path in python_files(*ROOMS) if path.stem == stem] == []


def guessed_abilities(tree: ast.Module) -> Iterator[str]:
    """Yield the `hasattr` and `getattr` of a module whose object is called backend, camera or arm."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("hasattr", "getattr") and node.args:
            name = ast.unparse(node.args[0]).rpartition(".")[2].strip("_")
            if name in ("backend", "camera", "arm"):
                yield f"{node.lineno}: {ast.unparse(node)}"


def test_abilities_of_backends_cameras_and_arms_are_declared() -> None:
    found = {relative(path): list(guessed_abilities(tree_of(path))) for path in python_files(PACKAGE, ROS)}
    assert {path: calls for path, calls in found.items() if calls} == {}


def test_a_guessed_ability_is_found() -> None:
    planted = "hasattr(pointer.backend, 'a')\ngetattr(self._arm, 'b', None)\nhasattr(frame, 'c')"
    assert len(list(guessed_abilities(ast.parse(planted)))) == 2


# --- Sizes ------------------------------------------------------------------------------------------------------


def long_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONG_FUNCTION:
                yield f"{relative(path)}:{node.name}", lines


def test_functions_are_short_or_have_a_reason() -> None:
    found = {name: lines for path in python_files(PACKAGE, ROS) for name, lines in long_functions(path)}
    assert {name: lines for name, lines in found.items() if name not in LONG_FUNCTIONS} == {}
    assert len(LONG_FUNCTIONS) <= 10
    assert set(LONG_FUNCTIONS) <= set(found), "a function that is short needs no reason"


def test_files_are_short() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*ROOMS)}
    assert {path: length for path, length in lengths.items() if length > LONG_FILE and path not in LONG_FILES} == {}


def test_folders_can_be_looked_through() -> None:
    folders = defaultdict(int)
    for path in python_files(*ROOMS):
        folders[relative(path.parent)] += 1
    assert {folder: count for folder, count in folders.items() if count > FULL_FOLDER} == {}


# --- Docstrings -------------------------------------------------------------------------------------------------

QUESTION = re.compile(r"(What|How|Where|Whether|Which|Who|Whom|Whose|When|Why)\b")


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and first line of every docstring of a file, attributes' included."""
    for node in ast.walk(tree_of(path)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                text = statement.value.value
                if isinstance(text, str) and text.strip():
                    yield statement.lineno, text.strip().splitlines()[0]


@pytest.mark.parametrize("room", ROOMS, ids=relative)
def test_docstrings_begin_with_a_verb_or_a_noun(room: Path) -> None:
    found = [
        f"{relative(path)}:{line}: {text}"
        for path in python_files(room)
        for line, text in docstrings(path)
        if QUESTION.match(text)
    ]
    assert found == []
