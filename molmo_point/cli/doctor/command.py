"""`molmo-point doctor`: what is installed, what is missing or broken, and what to do about it."""

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from molmo_point.cli.doctor import probes
from molmo_point.cli.doctor.checkpoint import first_fix, headline, inspected, problems_of, report_lines, size_words
from molmo_point.cli.doctor.probes import FAIL, NOTE, OK, WARN, Check

_CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
_NAMED = "checkpoint of --model"
_SIGNS = {OK: "✓", WARN: "!", FAIL: "✗", NOTE: "·"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `doctor`."""
    parser.description = "Reports versions, GPU, ROS 2, RealSense, rendering and model files, and how to fix what is wrong."
    parser.epilog = "exit code 1 only if something that every use needs is broken"
    parser.add_argument(
        "--model", metavar="PATH", help="say what this checkpoint is, whether it is complete, and what memory it takes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs all checks and prints them; 1 if something that is needed is broken."""
    checks = examine(options.model)
    broken = any(check.status == FAIL for check in checks)
    if options.json:
        print(json.dumps({"ok": not broken, "checks": [check.to_dict() for check in checks]}))
    else:
        print("\n".join(_lines(checks)))
    return 1 if broken else 0


def examine(model: str | None = None) -> list[Check]:
    """All checks, in the order of the report.

    Args:
        model: a checkpoint folder to look at besides the embedded one.
    """
    steps: list[Callable[[], list[Check]]] = [
        _system,
        *(lambda need=need: [_package(*need)] for need in _PACKAGES),
        _gpu,
        _rendering,
        _realsense,
        _ros,
        _embedded,
    ]
    if model is not None:
        steps.append(lambda: [_named_checkpoint(model)])
    pool = ThreadPoolExecutor(max_workers=2)
    try:
        return [check for checks in pool.map(_guarded, steps) for check in checks]
    finally:
        # After Ctrl-C, the checks that have not begun do not begin.
        pool.shutdown(wait=False, cancel_futures=True)


def _guarded(step: Callable[[], list[Check]]) -> list[Check]:
    """A doctor that falls ill itself says so and goes on with the next check."""
    try:
        return step()
    except Exception as error:
        name = getattr(step, "__name__", "check").strip("_")
        return [Check(name, WARN, f"this check itself failed: {type(error).__name__}: {error}", "report it")]


# Name, distributions that provide it, module, lowest version, needed by every use, what it is for, how to get it.
_PACKAGES: tuple[tuple[str, tuple[str, ...], str, str, bool, str, str], ...] = (
    ("numpy", ("numpy",), "numpy", "1.24", True, "everything", "pip install 'numpy>=1.24'"),
    ("pillow", ("pillow",), "PIL", "9", True, "image files", "pip install pillow"),
    ("pyyaml", ("PyYAML",), "yaml", "5.4", True, "YAML files", "pip install pyyaml"),
    ("torch", ("torch",), "torch", "2.4", True, "the model", "pip install 'molmo-point[model]'"),
    ("transformers", ("transformers",), "transformers", "5", True, "the model", "pip install 'molmo-point[model]'"),
    ("safetensors", ("safetensors",), "safetensors", "0.4", True, "the model", "pip install 'molmo-point[model]'"),
    ("tokenizers", ("tokenizers",), "tokenizers", "0.15", True, "the model", "pip install 'molmo-point[model]'"),
    (
        "opencv",
        ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
        "cv2",
        "4.8",
        False,
        "tracking and calibration",
        "pip install opencv-python-headless",
    ),
    ("mujoco", ("mujoco",), "mujoco", "3.2", False, "simulation and the demo", "pip install 'molmo-point[sim]'"),
    ("pyrealsense2", ("pyrealsense2",), "pyrealsense2", "2.50", False, "RealSense", "pip install 'molmo-point[realsense]'"),
    ("bitsandbytes", ("bitsandbytes",), "bitsandbytes", "0.43", False, "4-bit models on a GPU", "pip install bitsandbytes"),
)


def _system() -> list[Check]:
    import molmo_point

    python = Check("python", OK, f"{platform.python_version()}, {sys.executable}")
    where = f"{molmo_point.__version__}, {Path(molmo_point.__file__).parent}"
    return [Check("molmo-point", OK, where), python, Check("system", NOTE, f"{platform.platform()}, {os.cpu_count()} cores")]


def _package(name: str, distributions: tuple[str, ...], module: str, lowest: str, needed: bool, purpose: str, fix: str) -> Check:
    version, bad = probes.installed_version(*distributions), FAIL if needed else WARN
    if version is None and not probes.has_module(module):
        return Check(name, bad, f"not installed (for {purpose})", fix)
    answer = probes.run_probe(probes.IMPORT, module)
    if "error" in answer:
        libusb = name == "pyrealsense2" and "libusb" in answer["error"]
        libgl = name == "opencv" and "libGL" in answer["error"]
        cure = "sudo apt install libusb-1.0-0" if libusb else "pip install opencv-python-headless" if libgl else ""
        return Check(name, bad, f"{version or '?'} cannot be imported: {answer['error']}", cure or f"reinstall it: {fix}")
    if version is not None and not probes.at_least(version, lowest):
        return Check(name, bad, f"{version} is too old, {lowest} is needed", f"{fix} --upgrade")
    return Check(name, OK, version or "version unknown")


def _gpu() -> list[Check]:
    if not probes.has_module("torch"):
        return []
    answer = probes.run_probe(probes.TORCH)
    if "error" in answer:
        return [Check("gpu", WARN, f"torch does not say: {answer['error']}", "reinstall torch: pip install 'molmo-point[model]'")]
    if answer["gpus"]:
        return [Check("gpu", OK, f"{'; '.join(answer['gpus'])}, CUDA {answer['cuda']}")]
    words = f"none that torch can use; the model runs on the processor ({answer['threads']} threads)"
    if shutil.which("nvidia-smi") and answer["cuda"] is None:
        return [Check("gpu", WARN, words, "this torch is built without CUDA: install the one from pytorch.org for your CUDA")]
    if shutil.which("nvidia-smi"):
        return [Check("gpu", WARN, words, "check the driver with nvidia-smi")]
    return [Check("gpu", NOTE, words)]


def _rendering() -> list[Check]:
    if not probes.has_module("mujoco"):
        return []
    backend = os.environ.get("MUJOCO_GL") or "egl"
    answer = probes.run_probe(probes.RENDER, environment={"MUJOCO_GL": backend})
    if "error" not in answer and answer.get("bright", 0) > 0:
        return [Check("rendering", OK, f"MuJoCo draws with MUJOCO_GL={backend}")]
    reason = answer.get("error", "the picture is black")
    fix = "sudo apt install libegl1 libgl1-mesa-dri, and set MUJOCO_GL=egl"
    return [Check("rendering", WARN, f"MuJoCo cannot draw with MUJOCO_GL={backend}: {reason}", fix)]


def _realsense() -> list[Check]:
    if not probes.has_module("pyrealsense2"):
        return []
    answer = probes.run_probe(probes.REALSENSE, timeout_s=30.0)
    if "error" in answer:
        return [Check("realsense", WARN, answer["error"], "sudo apt install libusb-1.0-0; pip install pyrealsense2")]
    if not answer["devices"]:
        return [Check("realsense", NOTE, "no camera connected", "to use one: USB 3 port and librealsense's udev rules")]
    checks = []
    for device in answer["devices"]:
        words = f"{device['name']}, serial {device['serial']}, firmware {device['firmware']}, USB {device['usb']}"
        slow = device["usb"].startswith("2")
        fix = "use a USB 3 port and cable" if slow else ""
        checks.append(Check("realsense", WARN if slow else OK, words, fix))
    return checks


def _ros() -> list[Check]:
    distro = os.environ.get("ROS_DISTRO", "")
    if not probes.has_module("rclpy"):
        if distro:
            fix = f"use the Python of ROS 2 {distro}, or a virtual environment made with --system-site-packages"
            return [Check("ros 2", WARN, f"{distro} is sourced, but rclpy is not importable from {sys.executable}", fix)]
        return [Check("ros 2", NOTE, "not found", "to publish targets: source /opt/ros/DISTRO/setup.bash, or make setup")]
    answer = probes.run_probe(probes.RMW, timeout_s=60.0)
    if "error" in answer:
        fix = "source /opt/ros/DISTRO/setup.bash, or run through ros2_ws/run after make setup"
        return [Check("ros 2", WARN, f"rclpy does not work: {answer['error']}", fix)]
    version = probes.installed_version("ros-kilted-rclpy", "ros-jazzy-rclpy", "rclpy") or "?"
    checks = [Check("ros 2", OK, f"{distro or 'from wheels'}, rclpy {version}, {answer['rmw']}")]
    for name in ("molmo_point_msgs.msg", "molmo_point_ros"):
        answer = probes.run_probe(probes.IMPORT, name, timeout_s=60.0)
        found = Check(name.split(".")[0], OK, "importable")
        if "error" in answer:
            fix = "make setup, then run through ros2_ws/run; or colcon build in ros2_ws and source install/setup.bash"
            found = Check(name.split(".")[0], WARN, f"not importable: {answer['error']}", fix)
        checks.append(found)
    return checks


def _embedded() -> list[Check]:
    name, folder = "checkpoint tabletop", _CHECKPOINTS / "tabletop"
    problems = problems_of(folder)
    if problems:
        return [Check(name, FAIL, "; ".join(problems), "install molmo-point again")]
    size_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return [Check(name, OK, f"complete, {size_words(size_bytes)}, {folder}")]


def _named_checkpoint(model: str) -> Check:
    """The checkpoint that `--model MODEL` would load: an embedded one, a folder, or one from the Hugging Face cache."""
    folder = Path(model).expanduser()
    if not folder.exists() and (_CHECKPOINTS / model).is_dir():
        return _checkpoint(_CHECKPOINTS / model)
    parts = model.split("/")
    if folder.exists() or len(parts) != 2 or not all(parts) or model.startswith((".", "~")):
        return _checkpoint(folder)
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    cache = os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
    snapshots = Path(cache).expanduser() / f"models--{parts[0]}--{parts[1]}" / "snapshots"
    newest = sorted(snapshots.glob("*"), key=lambda path: path.stat().st_mtime)
    if not newest:
        return Check(_NAMED, FAIL, f"{model} is neither a folder nor in the cache {cache}", f"hf download {model}")
    return _checkpoint(newest[-1])


def _checkpoint(folder: Path) -> Check:
    report = inspected(folder)
    status = FAIL if report["problems"] else OK
    return Check(_NAMED, status, headline(report), first_fix(report["problems"]), tuple(report_lines(report)), report)


def _lines(checks: list[Check]) -> list[str]:
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{_SIGNS[check.status]} {check.name.ljust(width)}  {check.found}")
        if check.details:  # they hold the fix as well
            lines += ["", *(f"    {line}".rstrip() for line in check.details)]
        elif check.fix:
            lines.append(f"  {' ' * width}  → {check.fix}")
    broken = [check.name for check in checks if check.status == FAIL]
    optional = [check.name for check in checks if check.status == WARN]
    lines.append("")
    lines.append(f"needed and broken: {', '.join(broken)}" if broken else "everything that is needed works")
    if optional:
        lines.append(f"optional, not usable: {', '.join(optional)}")
    return lines
