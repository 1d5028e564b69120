"""The Markdown table of docs/cameras.md, from the registry."""

from collections.abc import Iterable

from molmo_point.camera.registry import CameraDriver, Option


def markdown_table(drivers: Iterable[CameraDriver]) -> str:
    """Render drivers as the Markdown table of docs/cameras.md."""
    rows = [("camera", "opens", "options (default)", "extra"), ("---",) * 4]
    for driver in drivers:
        options = [f"`{option.name}` {option.description}{_default_words(option)}" for option in driver.options]
        source = f"`{driver.usage}`<br>{driver.source.description}"
        rows.append((source, driver.description, "<br>".join(options), f"`{driver.extra}`" if driver.extra else ""))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _default_words(option: Option) -> str:
    if option.default in (None, ""):
        return ""
    value = str(option.default).lower() if isinstance(option.default, bool) else option.default
    return f" ({value})"
