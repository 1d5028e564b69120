#!/usr/bin/env python3
"""ROS 2 Kilted from PyPI wheels, into the virtual environment of the Python that runs this program.

For machines without an installed ROS 2. The wheels hold the whole C and C++ stack, so that afterwards the virtual
environment is itself a merged ROS install prefix (share/, lib/, include/), good enough for colcon to build interfaces.
There are wheels for Python 3.10 to 3.13 on x86-64 Linux only.

    .venv/bin/python ros2_ws/setup_wheels.py

One repair is needed, and is done here: the CMake files in the wheels name the Python and NumPy headers by their place
on the machine that built the wheels (/opt/python/cp311-cp311/...). They are rewritten to this machine's places.
"""

import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parent
CONSTRAINTS = WORKSPACE.parent / "constraints.txt"

RUNTIME_WHEELS = (
    "ros-kilted-rclpy",
    "ros-rmw-fastrtps-cpp",
    "ros-kilted-diagnostic-msgs",
    "ros-kilted-geometry-msgs",
    "ros-kilted-sensor-msgs",
    "ros-kilted-std-msgs",
    "ros-kilted-std-srvs",
    "ros-kilted-trajectory-msgs",
    "ros-kilted-visualization-msgs",
)

# The metadata of these wheels do not name each other, so every one that the build of interfaces meets is listed.
BUILD_WHEELS = (
    "ros-kilted-ament-cmake",
    "ros-kilted-rosidl-default-generators",
    "ros-kilted-rosidl-default-runtime",
    "ros-ament-package",
    "ros-ament-cmake-gmock",
    "ros-ament-cmake-gtest",
    "ros-ament-cmake-include-directories",
    "ros-ament-cmake-pytest",
    "ros-ament-cmake-ros",
    "ros-ament-cmake-ros-core",
    "ros-ament-cmake-vendor-package",
    "ros-python-cmake-module",
    "ros-rosidl-core-generators",
    "ros-rosidl-core-runtime",
    "colcon-common-extensions",
    "cmake",
)

_NUMPY_HEADERS = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")
_PYTHON_HEADERS = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")


def wheels_exist() -> str:
    """Return "" where the wheels serve this Python and machine, otherwise the reason why they do not."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"ROS 2 wheels exist for x86-64 Linux only, this is {platform.machine()} {sys.platform}"
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return f"ROS 2 wheels exist for Python 3.10 to 3.13 only, this is Python {version}"
    return ""


def repair_text(text: str, python_headers: str, numpy_headers: str) -> str:
    """Return a CMake file's text with the header folders of the wheels' build machine replaced by the given ones."""
    text = _NUMPY_HEADERS.sub(lambda _: numpy_headers, text)
    return _PYTHON_HEADERS.sub(lambda _: python_headers, text)


def repair_cmake_files(prefix: Path, python_headers: str, numpy_headers: str) -> list[Path]:
    """Repair every CMake file below prefix/share, and return those that were changed (none on a second run)."""
    changed = []
    for path in sorted((prefix / "share").rglob("*.cmake")):
        old = path.read_text(encoding="utf-8", errors="surrogateescape")
        new = repair_text(old, python_headers, numpy_headers)
        if new != old:
            part = path.with_name(path.name + ".part")
            part.write_text(new, encoding="utf-8", errors="surrogateescape")
            os.replace(part, path)
            changed.append(path)
    return changed


def install_command(python: str) -> list[str]:
    """Return the pip command that installs every wheel into the environment of the given Python."""
    return [
        *(python, "-m", "pip", "install", "--progress-bar", "off", "--no-build-isolation"),
        *("-c", str(CONSTRAINTS), "setuptools", "wheel", "numpy"),
        *RUNTIME_WHEELS,
        *BUILD_WHEELS,
    ]


def main(arguments: list[str]) -> int:
    """Install the wheels (not with --repair-only), then repair them. Returns the exit code."""
    reason = wheels_exist()
    if reason:
        print(f"{reason}. Install ROS 2 from your distribution's packages and source it.", file=sys.stderr)
        return 1
    if sys.prefix == sys.base_prefix:
        print("This Python is not in a virtual environment. Run .venv/bin/python ros2_ws/setup_wheels.py", file=sys.stderr)
        return 1
    if "--repair-only" not in arguments:
        code = subprocess.call(install_command(sys.executable))
        if code:
            return code
    import numpy

    changed = repair_cmake_files(Path(sys.prefix), sysconfig.get_path("include"), numpy.get_include())
    print(f"repaired {len(changed)} CMake files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
