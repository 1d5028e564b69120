"""The public names exist, load lazily, and importing the package has no cost and no side effect."""

import subprocess
import sys

import pytest

import molmo_point


@pytest.mark.parametrize("name", [name for name in molmo_point.__all__ if name != "__version__"])
def test_public_name_is_there(name: str) -> None:
    assert getattr(molmo_point, name).__name__ == name
    assert name in dir(molmo_point)


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(AttributeError, match="Pointer"):
        _ = molmo_point.Ponter


def test_version_is_a_version() -> None:
    assert molmo_point.__version__.split(".")[0].isdigit()


def test_importing_everything_public_costs_numpy_only() -> None:
    program = (
        "import sys, molmo_point\n"
        "assert 'numpy' not in sys.modules, 'the bare import should not even load NumPy'\n"
        "from molmo_point import *\n"
        "heavy = {'torch', 'transformers', 'cv2', 'mujoco', 'open3d', 'pyrealsense2', 'rclpy', 'yaml'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
