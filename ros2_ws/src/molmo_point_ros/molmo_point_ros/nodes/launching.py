"""Shared code of the launch files: typed arguments, and RViz. Imports no ROS."""

from collections.abc import Callable, Mapping
from typing import Any

TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def truth(name: str, text: str) -> bool:
    """Return a launch argument that is true or false.

    Raises:
        ValueError: For any other text.
    """
    value = TRUTH.get(text.strip().lower())
    if value is None:
        raise ValueError(f"{name}:={text}, but it must be true or false")
    return value


def names(text: str) -> list[str]:
    """Return the names of a launch argument that lists them, separated by commas."""
    return [name.strip() for name in text.split(",")]


def typed(given: Mapping[str, str], kinds: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Return the given arguments (not "") as parameters of these types; the others leave the parameter file alone.

    Raises:
        ValueError: If a text is not of its type.
    """
    values: dict[str, Any] = {}
    for name, kind in kinds.items():
        if not given[name]:
            continue
        try:
            values[name] = truth(name, given[name]) if kind is bool else kind(given[name])
        except ValueError as error:
            raise ValueError(str(error) if kind is bool else f"{name}:={given[name]}, but it must be a number") from None
    return values


def rviz_arguments(config: str, fixed_frame: str) -> list[str]:
    """Return the command line of RViz: its configuration, and the fixed frame if one is given."""
    return ["-d", config, *(["-f", fixed_frame] if fixed_frame else [])]
