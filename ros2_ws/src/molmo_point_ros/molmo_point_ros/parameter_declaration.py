"""Declaration of ROS parameters: one field of a dataclass declares one, with its description, limits and unit."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.parameter import Parameter

from molmo_point.errors import InputError
from molmo_point_ros.conversions.field_checks import LONGEST_TEXT, checked_frame
from molmo_point_ros.nodes.goal_error import brief

_UNITS = ("m", "s", "px", "hz")
_METADATA = "parameter"
_MOST_ENTRIES = 16
_Kind = TypeVar("_Kind", bound="NodeParameters")


@dataclass(frozen=True)
class ParameterSpec:
    """Everything about one parameter but its name and default.

    Attributes:
        description: One line for users.
        range: Inclusive limits of a number; None without limits.
        choices: The allowed values; empty allows every value.
        allowed: Lists the allowed texts if they are open-ended; None if `choices` tells them.
        unit: Unit of a number that its name does not tell.
        frame: True for the name of a frame.
        read_only: True if it can only be set at start.
    """

    description: str
    range: tuple[float, float] | None = None
    choices: tuple[Any, ...] = ()
    unit: str = ""
    read_only: bool = False
    allowed: Callable[[], str] | None = None
    frame: bool = False


def parameter(
    default: Any,
    description: str,
    range: tuple[float, float] | None = None,
    *,
    choices: tuple[Any, ...] = (),
    unit: str = "",
    read_only: bool = False,
    allowed: Callable[[], str] | None = None,
    frame: bool = False,
) -> Any:
    """Declare a field of a `NodeParameters` class; see `ParameterSpec`."""
    metadata = {_METADATA: ParameterSpec(description, range, choices, unit, read_only, allowed, frame)}
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NodeParameters:
    """Base of the parameters of a node. An instance holds one value of each."""

    def conflict(self) -> str:
        """Return the reason why these values cannot be used together; "" if they can."""
        return ""


def specs_of(kind: type[NodeParameters]) -> dict[str, ParameterSpec]:
    """Return the specification of every parameter by its name."""
    return {each.name: each.metadata[_METADATA] for each in dataclasses.fields(kind)}


def declare(node: Any, kind: type[NodeParameters]) -> None:
    """Declare every parameter on the node. Refused values are refused at start and later.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: If a value given at start is refused.
    """
    node.add_on_set_parameters_callback(lambda given: _check(node, given, kind))
    defaults = dataclasses.asdict(kind())
    for name, spec in specs_of(kind).items():
        node.declare_parameter(name, defaults[name], _descriptor(name, defaults[name], spec))


def read(node: Any, kind: type[_Kind]) -> _Kind:
    """Return the current values of the node's parameters."""
    return kind(**{each.name: node.get_parameter(each.name).value for each in dataclasses.fields(kind)})


def unit_of(name: str, spec: ParameterSpec) -> str:
    """Return the unit of a parameter: its own, or that of its name; "" without one."""
    suffix = name.rpartition("_")[2]
    return spec.unit or (suffix.replace("hz", "Hz") if suffix in _UNITS and spec.range is not None else "")


def _descriptor(name: str, default: Any, spec: ParameterSpec) -> ParameterDescriptor:
    unit = unit_of(name, spec)
    description = f"{spec.description} ({unit})" if unit else spec.description
    descriptor = ParameterDescriptor(name=name, description=description, read_only=spec.read_only)
    if spec.choices:
        descriptor.additional_constraints = f"one of: {', '.join(map(str, spec.choices))}"
    if spec.allowed is not None:
        descriptor.additional_constraints = f"one of: {spec.allowed()}"
    if spec.range is not None and isinstance(default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(spec.range[0]), to_value=float(spec.range[1]))]
    elif spec.range is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(spec.range[0]), to_value=int(spec.range[1]), step=1)]
    return descriptor


def _check(node: Any, given: list[Parameter], kind: type[NodeParameters]) -> SetParametersResult:
    """Refuse a value that is not among the choices, and values that conflict. An undeclared parameter has its default."""
    specs = specs_of(kind)
    changed = {each.name: each.value for each in given if each.name in specs}
    for name, value in changed.items():
        try:
            _check_value(name, value, specs[name])
        except InputError as error:
            return SetParametersResult(successful=False, reason=brief(str(error)))
        choices = specs[name].choices
        entries = [each for each in value if each] if isinstance(value, list) else [value]
        if choices and not set(entries) <= set(choices):
            reason = f"{name} is {value!r}, but must be one of: {', '.join(map(str, choices))}"
            return SetParametersResult(successful=False, reason=reason)
        if value is None:
            return SetParametersResult(successful=False, reason=f"{name} must have a value")
    known = {name: node.get_parameter(name).value for name in specs if name not in changed and node.has_parameter(name)}
    reason = kind(**known, **changed).conflict()
    return SetParametersResult(successful=not reason, reason=brief(reason))


def _check_value(name: str, value: Any, spec: ParameterSpec) -> None:
    """Refuse what no parameter of this package may be, before the value is echoed.

    Raises:
        InputError: The reason.
    """
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        given = f"{len(value)} characters"
        raise InputError(f"{name} must have at most {LONGEST_TEXT} characters", given, "give a shorter text")
    if isinstance(value, str) and spec.frame:
        checked_frame(value, name)
    # rclpy's check of a range lets NaN through.
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} must be finite", str(value), "give a number")
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > _MOST_ENTRIES:
        raise InputError(f"{name} must have at most {_MOST_ENTRIES} entries", str(len(value)), "give fewer numbers")
