#!/usr/bin/env python3
"""Install ROS 2 Kilted (or Jazzy) from PyPI wheels into the virtual environment of the running Python.

This serves machines without an installed ROS 2. The wheels hold the complete C and C++ stack. The virtual environment
becomes a merged ROS install prefix (share/, lib/, include/), which is enough for colcon to build interfaces.
Wheels exist for Python 3.10 to 3.13 on x86-64 Linux only.

    .venv/bin/python ros2_ws/setup_wheels.py [--distro kilted|jazzy]

The environment variable ROS_WHEELS selects the distribution as well. An environment holds one of them.

The program also repairs the CMake files of the wheels. They name the Python and NumPy headers by their paths on the
build machine (/opt/python/cp311-cp311/...), and are rewritten to the paths of this machine.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parent
CONSTRAINTS = WORKSPACE.parent / "constraints.txt"

DISTRIBUTIONS = ("kilted", "jazzy")

MESSAGES = ("diagnostic", "geometry", "sensor", "std", "trajectory", "visualization")

# The metadata of these wheels do not name each other, so all wheels that build interfaces are listed.
BUILD_PARTS = (
    "ament-package",
    "ament-cmake-gmock",
    "ament-cmake-gtest",
    "ament-cmake-include-directories",
    "ament-cmake-pytest",
    "ament-cmake-ros",
    "ament-cmake-vendor-package",
    "python-cmake-module",
    "rosidl-core-generators",
    "rosidl-core-runtime",
)
META_PARTS = ("rclpy", "std-srvs", "ament-cmake", "rosidl-default-generators", "rosidl-default-runtime")
TOOLS = ("colcon-common-extensions", "cmake")

_NUMPY_HEADERS = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")
_PYTHON_HEADERS = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")


def wheels_exist() -> str:
    """Return "" if wheels exist for this Python and machine, otherwise the reason why not."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"ROS 2 wheels exist for x86-64 Linux only, this is {platform.machine()} {sys.platform}"
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return f"ROS 2 wheels exist for Python 3.10 to 3.13 only, this is Python {version}"
    return ""


def chosen_distribution(environ: Mapping[str, str]) -> str:
    """Return the distribution in ROS_WHEELS, kilted by default.

    Raises:
        ValueError: The distribution has no wheels.
    """
    name = environ.get("ROS_WHEELS") or DISTRIBUTIONS[0]
    if name not in DISTRIBUTIONS:
        raise ValueError(f"ROS_WHEELS must be {' or '.join(DISTRIBUTIONS)}, not {name!r}")
    return name


def wheels(distribution: str) -> list[str]:
    """List the names of all wheels of a distribution: to run it, then to build interfaces.

    The parts of Kilted are named ros-NAME, the packages on top of them ros-kilted-NAME. All wheels of Jazzy are named
    ros-jazzy-NAME, and each takes the ros-NAME of its version.
    """
    prefix = f"ros-{distribution}-"
    part = "ros-" if distribution == "kilted" else prefix
    on_top = [*META_PARTS, *(f"{name}-msgs" for name in MESSAGES)]
    parts = ["rmw-fastrtps-cpp", *BUILD_PARTS, *(["ament-cmake-ros-core"] if distribution == "kilted" else [])]
    return [prefix + name for name in on_top] + [part + name for name in parts] + list(TOOLS)


def repair_text(text: str, python_headers: str, numpy_headers: str) -> str:
    """Replace the header folders of the build machine in a CMake file's text."""
    text = _NUMPY_HEADERS.sub(lambda _: numpy_headers, text)
    return _PYTHON_HEADERS.sub(lambda _: python_headers, text)


def repair_cmake_files(prefix: Path, python_headers: str, numpy_headers: str) -> list[Path]:
    """Repair all CMake files below prefix/share, and return the changed ones (none on a second run)."""
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


def other_installed(distribution: str) -> str:
    """Return the name of another distribution in this environment, "" if none: two do not mix."""
    for other in DISTRIBUTIONS:
        if other != distribution and _is_installed(f"ros-{other}-rclpy"):
            return other
    return ""


def _is_installed(wheel: str) -> bool:
    try:
        importlib.metadata.version(wheel)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def install_command(python: str, distribution: str = "kilted", constraints: Path = CONSTRAINTS) -> list[str]:
    """Build the pip command that installs all wheels into the environment of the given Python."""
    return [
        *(python, "-m", "pip", "install", "--progress-bar", "off", "--no-build-isolation"),
        *("-c", str(constraints), "setuptools", "wheel", "numpy"),
        *wheels(distribution),
    ]


def without_ros(constraints: str) -> str:
    """Remove the constraints of ROS, which are those of Kilted; other wheels name their own versions."""
    return "".join(line for line in constraints.splitlines(keepends=True) if not line.startswith(("ros-", "ros_", "rosidl")))


def install(distribution: str) -> int:
    """Install all wheels. Returns the exit code of pip."""
    if distribution == "kilted":
        return subprocess.call(install_command(sys.executable, distribution))
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text(without_ros(CONSTRAINTS.read_text(encoding="utf-8")), encoding="utf-8")
        return subprocess.call(install_command(sys.executable, distribution, constraints))


def main(arguments: list[str]) -> int:
    """Install the wheels (not with --repair-only), then repair them. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--distro", choices=DISTRIBUTIONS, help="default: ROS_WHEELS, or kilted")
    parser.add_argument("--repair-only", action="store_true", help="only repair the CMake files")
    options = parser.parse_args(arguments)
    reason = wheels_exist()
    if reason:
        print(f"{reason}. Install ROS 2 from your distribution's packages and source it.", file=sys.stderr)
        return 1
    if sys.prefix == sys.base_prefix:
        print("This Python must be in a virtual environment. Run .venv/bin/python ros2_ws/setup_wheels.py", file=sys.stderr)
        return 1
    if not options.repair_only:
        try:
            distribution = options.distro or chosen_distribution(os.environ)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        other = other_installed(distribution)
        if other:
            print(f"This environment holds ROS 2 {other}. To install {distribution}, run make distclean first.", file=sys.stderr)
            return 1
        code = install(distribution)
        if code:
            return code
    import numpy

    changed = repair_cmake_files(Path(sys.prefix), sysconfig.get_path("include"), numpy.get_include())
    print(f"repaired {len(changed)} CMake files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
