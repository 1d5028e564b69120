"""Optional packages: their import, with an error that names the extra that installs them."""

from importlib import import_module
from typing import Any

from molmo_point.errors import DependencyError


def require(module: str, user: str, extra: str) -> Any:
    """Import an optional package.

    Args:
        module: Name of the module.
        user: The part that needs it, as the subject of a sentence.
        extra: Extra of molmo-point that installs it; "" if none does.

    Raises:
        DependencyError: The package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        fix = f"pip install 'molmo-point[{extra}]'" if extra else "check the module's name and PYTHONPATH"
        raise DependencyError(f"{user} needs {module}", str(error), fix) from error


def require_name(place: str, user: str, extra: str) -> Any:
    """Import what "module:name" names; arguments and errors as `require`, and AttributeError without the name."""
    module, _, name = place.partition(":")
    return getattr(require(module, user, extra), name)
