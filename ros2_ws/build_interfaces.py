#!/usr/bin/env python3
"""Build the ROS 2 interfaces of this workspace with colcon into ros2_ws/install.

    .venv/bin/python ros2_ws/build_interfaces.py

The build uses a sourced ROS 2 (ROS_DISTRO is set), otherwise the one of ros2_ws/setup_wheels.py in the virtual
environment. If tf2_msgs is not installed, a tf2_msgs with one message is built as well.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parent
INTERFACES = "molmo_point_msgs"
STAND_IN = "tf2_msgs"


def has_package(name: str, prefixes: str) -> bool:
    """Test if an install prefix (joined by ":") other than that of this workspace holds a package."""
    marker = Path("share", "ament_index", "resource_index", "packages", name)
    own = WORKSPACE / "install"
    return any((Path(prefix) / marker).exists() for prefix in prefixes.split(os.pathsep) if prefix and Path(prefix) != own)


def build_environment(environ: dict[str, str], prefix: str) -> dict[str, str]:
    """Build the environment of colcon: as given with a sourced ROS 2, otherwise with the prefix of the wheels."""
    new = dict(environ)
    new["PATH"] = os.pathsep.join([os.path.join(prefix, "bin"), new.get("PATH", os.defpath)])
    if not environ.get("ROS_DISTRO"):
        new.update(AMENT_PREFIX_PATH=prefix, CMAKE_PREFIX_PATH=prefix)
        new["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [os.path.join(prefix, "lib"), new.get("LD_LIBRARY_PATH", "")]))
        new.pop("PYTHONPATH", None)
    return new


def build_command(environ: dict[str, str], python: str) -> list[str]:
    """Build the colcon command for the environment of build_environment."""
    packages, bases = [INTERFACES], ["src"]
    if not has_package(STAND_IN, environ.get("AMENT_PREFIX_PATH", "")):
        packages.append(STAND_IN)
        bases.append("without_ros")
    return [
        *("colcon", "build", "--merge-install", "--executor", "sequential", "--event-handlers", "console_cohesion+"),
        *("--base-paths", *bases, "--packages-select", *packages),
        *("--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={python}"),
    ]


def main() -> int:
    """Build from scratch (a minute), because CMake's cache keeps the paths of the previous ROS 2."""
    environ = build_environment(dict(os.environ), sys.prefix)
    # A sourced ROS 2 keeps its build tools (em, lark, catkin_pkg) with its own Python, not in the environment.
    python = getattr(sys, "_base_executable", sys.executable) if environ.get("ROS_DISTRO") else sys.executable
    if not shutil.which("colcon", path=environ["PATH"]):
        print("colcon was not found. Install it: apt-get install python3-colcon-common-extensions", file=sys.stderr)
        return 1
    for name in (INTERFACES, STAND_IN):
        shutil.rmtree(WORKSPACE / "build" / name, ignore_errors=True)
    environ["MAKEFLAGS"] = environ.get("MOLMO_POINT_MAKEFLAGS", "-j2")
    return subprocess.call(build_command(environ, python), cwd=WORKSPACE, env=environ)


if __name__ == "__main__":
    sys.exit(main())
