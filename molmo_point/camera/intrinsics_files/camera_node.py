"""A mapping that may describe a camera: its numbers, matrices and names, whatever their case, order and nesting."""

import contextlib
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from molmo_point.errors import InputError

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_NAMES = ("name", "camera_name", "file_path", "topic", "type", "id")
"""Keys whose text names an entry of a list."""
_MOST_NODES = 100_000


def norm(key: str) -> str:
    """Return a key in lower case without what is no letter and no digit."""
    return re.sub(r"[^0-9a-z]", "", key.lower())


def words_of(key: str) -> list[str]:
    """Split a key into words in lower case: `camMatrix_1` is cam, matrix, 1."""
    return [word.lower() for word in _WORD.findall(key)]


class CameraNode:
    """One mapping of a document.

    Args:
        values: The mapping.
        path: Keys that lead to it.
        parent: The mapping that holds it; None for the root.

    Attributes:
        used: Keys that a layout has read.
    """

    def __init__(self, values: Mapping[Any, Any], path: tuple[str, ...] = (), parent: "CameraNode | None" = None) -> None:
        self.values = {str(key): value for key, value in values.items()}
        self.path, self.parent = path, parent
        self.used: set[str] = set()

    @property
    def keys(self) -> set[str]:
        """All keys, in the form of `norm`."""
        return {norm(key) for key in self.values}

    def get(self, *names: str, above: bool = False) -> Any:
        """Return the value of the first key that is one of some names, in the form of `norm`; None without one.

        Raises:
            InputError: Several of the names are there with different values.
        """
        found = {key: value for key, value in self.values.items() if norm(key) in names and value is not None}
        self.used |= found.keys()
        values = list(found.values())
        if any(value != values[0] for value in values[1:]):
            given = ", ".join(f"{key}={value}" for key, value in found.items())
            raise InputError("A camera must have one value of each kind", given[:200], "remove the wrong one")
        if not values and above and self.parent is not None:
            return self.parent.get(*names, above=True)
        return values[0] if values else None

    def number(self, *names: str, above: bool = False) -> float | None:
        """Return a number, also one in a text; None without the key, or if its value is no single number."""
        found = array_of(self.get(*names, above=above))
        return float(found.ravel()[0]) if found is not None and found.size == 1 else None


def nodes_of(tree: Any) -> Iterator[CameraNode]:
    """Yield every mapping of a tree, the outer ones first; keys with dots are nested mappings.

    Raises:
        InputError: The tree has too many.
    """
    waiting: deque[tuple[Any, tuple[str, ...], CameraNode | None]] = deque([(tree, (), None)])
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        value, path, parent = waiting.popleft()
        if isinstance(value, Mapping):
            if parent is not None and array_of(value) is not None:
                continue  # a matrix with its rows and columns
            node = CameraNode(_undotted(value), path, parent)
            yield node
            waiting += [(part, (*path, key), node) for key, part in node.values.items() if isinstance(part, (Mapping, list))]
        elif isinstance(value, list):
            entries = [(number, part) for number, part in enumerate(value) if isinstance(part, (Mapping, list))]
            # Lists of numbers are values of their mapping.
            waiting += [(part, (*path, _entry_name(part, number)), parent) for number, part in entries if _has_mapping(part)]
    raise InputError("A file of intrinsics must be small", f"more than {_MOST_NODES} mappings", "give the camera alone")


def _has_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(map(_has_mapping, value)))


def _undotted(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Nest the keys with dots, as ORB-SLAM writes them."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        head, dot, rest = str(key).partition(".")
        inner = nested.setdefault(head, {}) if dot and head and rest else None
        if isinstance(inner, dict):
            inner[rest] = value
        else:
            nested[str(key)] = value
    return nested


def _entry_name(value: Any, number: int) -> str:
    if isinstance(value, Mapping):
        for key in _NAMES:
            name = value.get(key)
            if isinstance(name, str) and name:
                return name
    return str(number)


def array_of(value: Any) -> np.ndarray | None:
    """Return numbers, also in texts, lists, and mappings of rows, cols and data, as an array; None for another value.

    The shape is that of nested lists or of rows and cols.
    """
    if isinstance(value, Mapping):
        node = CameraNode(value)
        data = array_of(node.get("data"))
        shape = (node.number("rows", "row"), node.number("cols", "col", "columns"))
        sized = None not in shape and data is not None and data.size == np.prod([side or 0 for side in shape])
        return data.reshape([int(side or 0) for side in shape]) if sized and data is not None else data
    if isinstance(value, str):
        parts = [part for part in re.split(r"[\s,;\[\]()]+", value) if part]
        value = parts if len(parts) != 1 else parts[0]
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        if value is not None and _all_numbers(value):
            found = np.array(value, dtype=np.float64)
            return found if found.size else None
    return None


def _all_numbers(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 64 and all(map(_all_numbers, value))
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)
