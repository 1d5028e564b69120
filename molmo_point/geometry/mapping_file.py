"""Reader of files that hold one mapping: JSON, or YAML where PyYAML is installed."""

import json
from pathlib import Path
from typing import Any

from molmo_point.errors import DependencyError, InputError


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read a JSON or YAML file that holds one mapping.

    Raises:
        InputError: If the file is missing, cannot be parsed, or does not hold a mapping.
        DependencyError: For a YAML file without PyYAML.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("The file must be readable text", f"{path} ({error})", "check the path") from error
    try:
        values = json.loads(text) if path.suffix.lower() == ".json" else _load_yaml(text)
    except ValueError as error:
        raise InputError("The file must be valid JSON or YAML", f"{path} ({error})", "correct the syntax") from error
    if not isinstance(values, dict):
        given = f"{path} holds a {type(values).__name__}"
        raise InputError("The file must hold one mapping", given, "write `key: value` lines")
    return values


def _load_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise DependencyError("Reading YAML needs PyYAML", "no module named yaml", "pip install pyyaml, or use JSON") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
