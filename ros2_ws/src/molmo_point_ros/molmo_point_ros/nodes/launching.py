"""What the launch files share: arguments as typed parameters, and RViz. Needs no ROS to be imported."""

from collections.abc import Mapping
from typing import Any

TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def truth(name: str, text: str) -> bool:
    """A launch argument that is true or false.

    Raises:
        ValueError: For any other text.
    """
    value = TRUTH.get(text.strip().lower())
    if value is None:
        raise ValueError(f"{name}:={text}, but it must be true or false")
    return value


def typed(given: Mapping[str, str], kinds: Mapping[str, type]) -> dict[str, Any]:
    """The arguments that were given (not ""), as parameters of these types; the others leave the parameter file alone.

    Raises:
        ValueError: For a text that is not of its type.
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
    """RViz's command line: its configuration, and the frame that everything is shown in where one is given."""
    return ["-d", config, *(["-f", fixed_frame] if fixed_frame else [])]
