"""Import of MuJoCo for rendering without a display."""

import os
from typing import Any

from molmo_point.dependencies import require
from molmo_point.errors import DependencyError


def import_mujoco() -> Any:
    """Import MuJoCo, set to render without a display.

    Raises:
        DependencyError: MuJoCo is not installed.
    """
    # MuJoCo reads the variable once, at its first import.
    os.environ.setdefault("MUJOCO_GL", "egl")
    return require("mujoco", "A simulated scene", "sim")


def open_renderer(model: Any, width: int, height: int) -> Any:
    """Open MuJoCo's offscreen renderer.

    Raises:
        DependencyError: No headless OpenGL context can be opened.
    """
    try:
        return import_mujoco().Renderer(model, height=height, width=width)
    except Exception as error:  # MuJoCo raises several types for a missing context
        raise DependencyError(
            "MuJoCo could not open a headless OpenGL context",
            f"MUJOCO_GL={os.environ.get('MUJOCO_GL')}: {error}",
            "install libegl1 and libgl1-mesa-dri with apt and set MUJOCO_GL=egl",
        ) from error
