"""The option `--camera` of every command that reads a camera."""

from typing import Any

from molmo_point.camera.registry import usage


def add_camera_option(parser: Any, purpose: str) -> None:
    """Add `--camera`, with the drivers of the registry in its help.

    Args:
        parser: Parser or argument group.
        purpose: Use of the camera by the command; a phrase without a period.
    """
    words = f"{purpose}: {usage()}; options after a question mark, e.g. realsense?fps=15; see docs/cameras.md"
    parser.add_argument("--camera", metavar="CAMERA", help=words.replace("%", "%%"))
