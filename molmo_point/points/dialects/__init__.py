"""Pointing syntaxes of model families: how to ask and how to read.

A new dialect is a file here, a line in `DIALECTS`, and a test.
"""

from typing import TYPE_CHECKING, Any

from molmo_point.backend import resolve
from molmo_point.errors import InputError

if TYPE_CHECKING:
    from molmo_point.points.dialects.dialect import Dialect

DIALECTS: dict[str, str] = {
    "molmo": "molmo_point.points.dialects.molmo:Molmo",
    "molmo2": "molmo_point.points.dialects.molmo2:Molmo2",
    "molmopoint": "molmo_point.points.dialects.molmopoint:MolmoPoint",
}
"""Classes of the dialects by name."""


def dialect_of(name: "str | Dialect", **options: Any) -> "Dialect":
    """Make the dialect of a name.

    Args:
        name: A key of `DIALECTS`; a dialect is returned as it is.
        options: Arguments of its class.

    Raises:
        InputError: The name is unknown.
    """
    if not isinstance(name, str):
        return name
    if name not in DIALECTS:
        raise InputError("dialect must be a known one", repr(name), f"use one of {', '.join(DIALECTS)}")
    return resolve(DIALECTS[name])(**options)
