"""Tables of the parameters for docs/ros.md: `python -m molmo_point_ros.nodes.parameter_tables` prints them."""

import dataclasses
import math
from typing import Any

from molmo_point_ros.nodes.parameters import CameraNodeParameters, CaptureParameters, PointingNodeParameters
from molmo_point_ros.nodes.pick_parameters import PickNodeParameters
from molmo_point_ros.outputs.topic_recorder import RecorderParameters
from molmo_point_ros.parameter_declaration import NodeParameters, ParameterSpec, specs_of, unit_of

KINDS = (PointingNodeParameters, CameraNodeParameters, PickNodeParameters, RecorderParameters, CaptureParameters)
"""Parameters of every node."""


def markdown_rows(kind: type[NodeParameters]) -> list[str]:
    """Return one row for every parameter: name, default, description with unit and limits."""
    defaults = dataclasses.asdict(kind())
    return [f"| `{name}` | {_shown(defaults[name])} | {_full_text(name, spec)} |" for name, spec in specs_of(kind).items()]


def _full_text(name: str, spec: ParameterSpec) -> str:
    limits = ", ".join(map(str, spec.choices)) or ("{:g} to {:g}".format(*spec.range) if spec.range else "")
    bounds = " ".join(part for part in (limits, unit_of(name, spec)) if part)
    return f"{spec.description} ({bounds})" if bounds else spec.description


def _shown(value: Any) -> str:
    """Return a default as a YAML reader would write it, in a table."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(f"`{each}`" for each in value if each) or "empty"
    if isinstance(value, list):
        return ", ".join(f"{'-' if each < 0 else ''}.inf" if math.isinf(each) else f"{each:g}" for each in value)
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Print the table of every node."""
    for kind in KINDS:
        print(f"{kind.__name__}\n", *markdown_rows(kind), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
