"""The `molmo-point` command."""

from molmo_point.cli.command_line import main

__all__ = ["main"]
