"""Reader of files that hold one mapping: JSON, or YAML where PyYAML is installed. Size, depth and numbers are bounded."""

import functools
import json
import logging
import re
from pathlib import Path
from typing import Any

from molmo_point.errors import DependencyError, InputError, printable
from molmo_point.files import read_file

MAX_JSON_BYTES = 16 * 2**20
MAX_YAML_BYTES = 2 * 2**20
"""PyYAML reads about 1 MiB a second."""
_LOG = logging.getLogger(__name__)
_OPEN_END = re.compile(rb"[0-9.][ \t]*\Z")
_END_BYTES = 100
_MAX_DEPTH = 32
_MAX_VALUES = 1_000_000
_MAX_INTEGER_LETTERS = 40
_MAX_INTEGER = 2**63 - 1
_SYNTAX = "The file must be valid JSON or YAML"
_INTEGER = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read a JSON or YAML file that holds one mapping.

    Raises:
        InputError: If the file is missing, no regular file or too large, cannot be parsed, or does not hold a mapping.
        DependencyError: For a YAML file without PyYAML.
    """
    path = Path(path)
    limit = MAX_JSON_BYTES if _is_json(str(path)) else MAX_YAML_BYTES
    return parse_mapping(read_file(path, limit), str(path))


def parse_mapping(text: str | bytes, name: str) -> dict[str, Any]:
    """Parse a text that holds one mapping.

    Args:
        text: The text, or its bytes in UTF-8, or in UTF-16 with a byte order mark.
        name: Name of the file, for errors; a name that ends in .json tells JSON, every other one YAML.

    Raises:
        InputError: The text is no JSON or YAML, repeats a key, is nested too deeply, has an integer beyond 64 bits,
            unfolds into too many values, or holds no mapping.
        DependencyError: For YAML without PyYAML.
    """
    values = parse_values(text, name)
    if not isinstance(values, dict):
        raise InputError("The file must hold one mapping", f"{name} holds a {type(values).__name__}", "write `key: value` lines")
    return values


def parse_values(text: str | bytes, name: str) -> Any:
    """Parse a text as `parse_mapping`, whatever it holds."""
    try:
        return parse_json(text) if _is_json(name) else parse_yaml(decode_text(text))
    except ValueError as error:
        raise InputError(_SYNTAX, f"{name} ({' '.join(str(error).split())})", "correct the file") from error


def warn_if_cut_off(path: str | Path) -> None:
    """Ask whether a YAML file is complete that ends within a line of a number: half a number is a number, too."""
    if not _is_json(str(path)) and _OPEN_END.search(read_file(path, MAX_YAML_BYTES)[-_END_BYTES:]):
        _LOG.warning("%s: is the file complete? Its last line is a number without a line end", printable(str(path)))


def parse_json(text: str | bytes, *, finite: bool = False, largest: int = _MAX_INTEGER) -> Any:
    """Parse JSON with bounds: no key twice, at most 32 levels, integers of at most 64 bits.

    Args:
        text: The text, or its bytes.
        finite: Refuse NaN and Infinity, which are no JSON but common.
        largest: Largest absolute value of an integer.

    Raises:
        ValueError: The text is no such JSON.
    """
    try:
        values = json.loads(
            decode_text(text),
            object_pairs_hook=_unique,
            parse_int=functools.partial(_integer, largest=largest),
            parse_constant=_refuse_constant if finite else None,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_depth(values, _MAX_DEPTH)
    return values


def decode_text(text: str | bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark.

    Raises:
        ValueError: The bytes are neither.
    """
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    return text.decode("utf-16" if text.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")


def _is_json(name: str) -> bool:
    return name.lower().endswith(".json")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"the key {twice!r} is there twice")
    return values


def _integer(digits: str, largest: int = _MAX_INTEGER) -> int:
    if len(digits) > _MAX_INTEGER_LETTERS or abs(value := int(digits)) > largest:
        raise ValueError(f"the integer {digits[:_MAX_INTEGER_LETTERS]}... of {len(digits)} digits is too large")
    return value


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, (dict, list)):
        if not left:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, (dict, list)):
                _check_depth(part, left - 1)


def parse_yaml(text: str) -> Any:
    """Parse one document of YAML with the bounds of `parse_json`; the tags of OpenCV's matrices are mappings.

    Raises:
        ValueError: The text is no such YAML.
        DependencyError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise DependencyError("Reading YAML needs PyYAML", "no module named yaml", "pip install pyyaml, or use JSON") from error
    try:
        # libyaml's composer crashes the process on deep nesting, so the depth is checked before.
        _check_events(yaml, text)
        loader = _yaml_loader()(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_node(yaml, node, {}, ())
            return loader.construct_document(node)
        finally:
            loader.dispose()
    # PyYAML's constructors answer a tag with a foreign value, such as `!!int ""`, with the last three.
    except (yaml.YAMLError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(str(error)) from error


@functools.cache
def _yaml_loader() -> Any:
    import yaml

    base = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    loader: Any = type("_Loader", (base,), {})
    # YAML 1.1 takes 1e-3 and 6.0e2 for words.
    loader.add_implicit_resolver(_FLOAT, re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789"))
    loader.add_constructor("tag:yaml.org,2002:opencv-matrix", loader.construct_yaml_map)
    return loader


def _check_events(yaml: Any, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_yaml_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_number(text: str, tag: str) -> None:
    """Refuse integers beyond 64 bits, and what YAML reads as another number than people do: 10:20 is 620, 0640 is 416."""
    digits = text.replace("_", "").lstrip("+-")
    if ":" in digits or (tag == _INTEGER and digits.isdecimal() and len(digits) > 1 and digits[0] == "0"):
        raise ValueError(f"the number {text[:40]!r} is in base 60 or 8; write it in base 10")
    if tag == _INTEGER:
        _integer(digits if digits.isdecimal() else "9" * len(digits))


def _check_node(yaml: Any, node: Any, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """Return the number of values that a node unfolds into; aliases count as often as they are named."""
    if id(node) in sizes:
        return sizes[id(node)]
    if id(node) in above:
        raise ValueError("an alias names a value that holds it")
    if isinstance(node, yaml.ScalarNode):
        if node.tag in (_INTEGER, _FLOAT):
            _check_number(node.value, node.tag)
        return 1
    if len(above) >= _MAX_DEPTH:
        raise ValueError(f"its aliases are nested more than {_MAX_DEPTH} levels deep")
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in parts]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("a key is a list or a mapping")
        _unique([(key, None) for key in keys])
        parts = [part for _, part in parts]
    size = 1 + sum(_check_node(yaml, part, sizes, (*above, id(node))) for part in parts)
    if size > _MAX_VALUES:
        raise ValueError(f"its aliases unfold into more than {_MAX_VALUES} values")
    sizes[id(node)] = size
    return size
