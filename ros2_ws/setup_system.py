"""System packages of molmo-point: find the missing ones and install them.

Standard library only: this is the first step of ros2_ws/setup_environment.py, before anything is installed.
"""

import ctypes
import glob
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path


class SetupError(Exception):
    """Error that stops the set-up, with the remedy."""

    def __init__(self, what, fix):
        super().__init__(f"{what}\n    what to do: {fix}")


def can_load(library):
    """Test if the dynamic loader finds a shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_egl_driver():
    """Test if EGL has a driver to render with: Mesa or NVIDIA."""
    patterns = ("/usr/lib*/dri/*_dri.so", "/usr/lib/*/dri/*_dri.so", "/usr/lib*/libgallium*.so", "/usr/lib/*/libgallium*.so")
    return can_load("libEGL_nvidia.so.0") or any(glob.glob(pattern) for pattern in patterns)


def has_venv():
    """Test if this Python can make virtual environments with pip (a separate package on Debian)."""
    try:
        import ensurepip
        import venv
    except ImportError:
        return False
    return bool(ensurepip and venv)


def system_packages(with_ros):
    """List (apt package, purpose, True if present), by tests on the machine, not of the package manager."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    rows = [
        (f"python{version}-venv", "virtual environments", has_venv()),
        ("libusb-1.0-0", "RealSense cameras", can_load("libusb-1.0.so.0")),
        ("libegl1", "rendering without a screen", can_load("libEGL.so.1")),
        ("libgl1-mesa-dri", "rendering without a GPU", has_egl_driver()),
        ("libgl1", "OpenCV", can_load("libGL.so.1")),
        ("libglib2.0-0", "OpenCV", can_load("libgthread-2.0.so.0")),
    ]
    if with_ros:
        headers = Path(sysconfig.get_path("include"), "Python.h").exists()
        rows.append(("g++", "building the ROS 2 interfaces", bool(shutil.which("g++") or shutil.which("c++"))))
        rows.append((f"python{version}-dev", "building the ROS 2 interfaces", headers))
    return rows


def install_system_packages(with_ros):
    """Install missing packages with apt. Raises SetupError with the command to run if that is impossible."""
    missing = [(name, use) for name, use, there in system_packages(with_ros) if not there]
    if not missing:
        return
    names = [name for name, _ in missing]
    listing = ", ".join(f"{name} ({use})" for name, use in missing)
    by_hand = f"sudo apt-get update && sudo apt-get install {' '.join(names)}"
    if not shutil.which("apt-get"):
        raise SetupError(f"missing on this machine: {listing}", "apt-get is missing: install the equivalents of your system")
    root = os.geteuid() == 0
    if not root and not shutil.which("sudo"):
        raise SetupError(f"missing on this machine: {listing}", f"as root: {by_hand.replace('sudo ', '')}; then run this again")
    print(f"      installing with apt: {listing} (about 1 min)", flush=True)
    prefix = [] if root else ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    subprocess.call([*apt, "update"], stdout=subprocess.DEVNULL)
    if subprocess.call([*apt, "install", "-y", "--no-install-recommends", *names], stdout=subprocess.DEVNULL):
        raise SetupError("apt cannot install them (its message is above)", f"{by_hand}; then run this again")
