"""`molmo-point doctor`: installed, missing and broken parts, and their remedies."""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from molmo_point.camera.registry import CAMERAS, CameraDriver
from molmo_point.cli.depth_alignment import examine_alignment
from molmo_point.cli.doctor import probes
from molmo_point.cli.doctor.checkpoint import headline, inspected, problems_of, report_lines, size_words
from molmo_point.cli.doctor.probes import FAIL, NOTE, OK, WARN, Check
from molmo_point.cli.frame_source import add_camera_option
from molmo_point.cli.output import add_json, show
from molmo_point.cli.signal_end import must_unwind
from molmo_point.errors import MolmoPointError, printable

_CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
_NAMED, _CAMERA, _TAUGHT = "checkpoint of --model", "depth of --camera", "library of --taught"
_SIGNS = {OK: "✓", WARN: "!", FAIL: "✗", NOTE: "·"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `doctor`."""
    parser.description = "Reports versions, GPU, ROS 2, cameras, rendering and model files, with a fix for every problem."
    parser.epilog = "exit code 1 only if a part that every use needs is broken"
    parser.add_argument(
        "--model", metavar="PATH", help="describe this checkpoint: its model, missing files, and the memory it takes"
    )
    parser.add_argument("--taught", metavar="FILE", help="check this library of taught objects")
    add_camera_option(parser, "read frames of a camera, and tell whether its depth fits its color images")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run all checks and print them; return 1 if a required part is broken."""
    checks = examine(options.model, options.camera, options.taught)
    broken = any(check.status == FAIL for check in checks)
    show(options, {"ok": not broken, "checks": [check.to_dict() for check in checks]}, _lines(checks))
    return 1 if broken else 0


def examine(model: str | None = None, camera: str | None = None, taught: str | None = None) -> list[Check]:
    """Run all checks, in the order of the report; a checkpoint, a camera and a library are examined in addition."""
    steps: list[tuple[str, Callable[[], list[Check]]]] = [
        ("system", _system),
        *((need[0], lambda need=need: [_package(*need)]) for need in _PACKAGES),
        ("gpu", _gpu),
        ("rendering", _rendering),
        *((driver.name, lambda driver=driver: _camera(driver)) for driver in CAMERAS.values()),
        ("ros 2", _ros),
        ("checkpoint tabletop", _embedded),
    ]
    if model is not None:
        steps.append((_NAMED, lambda: [_named_checkpoint(model)]))
    if taught is not None:
        steps.append((_TAUGHT, lambda: [_library(taught)]))
    if camera is not None:
        steps.append((_CAMERA, lambda: [_alignment(camera)]))
    # After Ctrl-C, the checks that have not begun do not begin, and `probing` kills the others.
    with must_unwind(), probes.probing():
        pool = ThreadPoolExecutor(max_workers=2)
        try:
            return [check for checks in pool.map(_guarded, steps) for check in checks]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _guarded(step: tuple[str, Callable[[], list[Check]]]) -> list[Check]:
    """Run a check; an error of the check itself becomes a line of the report."""
    name, check = step
    try:
        return check()
    except Exception as error:
        return [Check(name, WARN, f"this check itself failed: {type(error).__name__}: {error}", "report it")]


_OPENCV = tuple(f"opencv-{kind}" for kind in ("python", "python-headless", "contrib-python", "contrib-python-headless"))
# Name, distributions that provide it, module, lowest version, needed by every use, purpose, fix.
_PACKAGES: tuple[tuple[str, tuple[str, ...], str, str, bool, str, str], ...] = (
    ("numpy", ("numpy",), "numpy", "1.24", True, "everything", "pip install 'numpy>=1.24'"),
    ("pillow", ("pillow",), "PIL", "9", True, "image files", "pip install pillow"),
    ("pyyaml", ("PyYAML",), "yaml", "5.4", True, "YAML files", "pip install pyyaml"),
    ("torch", ("torch",), "torch", "2.4", True, "the model", "pip install 'molmo-point[model]'"),
    ("transformers", ("transformers",), "transformers", "5", True, "the model", "pip install 'molmo-point[model]'"),
    ("safetensors", ("safetensors",), "safetensors", "0.4", True, "the model", "pip install 'molmo-point[model]'"),
    ("tokenizers", ("tokenizers",), "tokenizers", "0.15", True, "the model", "pip install 'molmo-point[model]'"),
    ("opencv", _OPENCV, "cv2", "4.8", False, "tracking and calibration", "pip install opencv-python-headless"),
    ("mujoco", ("mujoco",), "mujoco", "3.2", False, "simulation and the demo", "pip install 'molmo-point[sim]'"),
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
        return Check(name, bad, f"{version or '?'} cannot be imported: {answer['error']}", f"reinstall it: {fix}")
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
    if not shutil.which("nvidia-smi"):
        return [Check("gpu", NOTE, words)]
    built = "this torch is built without CUDA: install the one from pytorch.org for your CUDA"
    return [Check("gpu", WARN, words, built if answer["cuda"] is None else "check the driver with nvidia-smi")]


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


def _camera(driver: CameraDriver) -> list[Check]:
    """Check the package that a camera driver needs, and list its connected devices."""
    name, _, lowest = driver.package.partition(">=")
    fix = f"pip install 'molmo-point[{driver.extra}]'"
    checks = [_package(name, (name,), name, lowest, False, driver.name, fix)] if name else []
    if not driver.probe or (name and not probes.has_module(name)):
        return checks
    answer = probes.run_probe(probes.CAMERA, driver.probe, timeout_s=30.0)
    if "error" in answer:
        return [*checks, Check(driver.name, WARN, answer["error"], answer.get("fix", f"reinstall it: {fix}"))]
    return checks + [
        Check(driver.name, NOTE if not device["connected"] else WARN if device["fix"] else OK, device["found"], device["fix"])
        for device in answer["devices"]
    ]


def _alignment(camera: str) -> Check:
    """Compare depth and color of the camera that `--camera` names."""
    try:
        found = examine_alignment(camera)
    except MolmoPointError as error:
        return Check(_CAMERA, WARN, f"{error.what}: {error.given}", error.fix)
    is_clear = found.check is not None and found.check.can_tell
    status = WARN if found.misaligned else OK if is_clear else NOTE
    return Check(_CAMERA, status, found.sentence, found.fix, report=found.to_dict())


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
    """Check the checkpoint that `--model MODEL` would load: embedded, in a folder, or in the Hugging Face cache."""
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


def _library(path: str) -> Check:
    """Check a library of taught objects in a process of its own: reading it imports torch."""
    answer = probes.run_probe(probes.TAUGHT, path)
    if "names" not in answer:
        fix = answer.get("fix", "repair torch first, or report it")
        return Check(_TAUGHT, FAIL, printable(answer.get("problem") or answer["error"]), printable(fix))
    names = answer["names"]
    found = f"complete, {len(names)} objects, {answer['views']} views, features {answer['features']}"
    return Check(_TAUGHT, OK, found, "", tuple(printable(name) for name in names), answer)


def _checkpoint(folder: Path) -> Check:
    report = inspected(folder)
    status, fix = (FAIL, report["problems"][0]["fix"]) if report["problems"] else (OK, "")
    return Check(_NAMED, status, headline(report), fix, tuple(report_lines(report)), report)


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
    lines += ["", f"needed and broken: {', '.join(broken)}" if broken else "every required part works"]
    return [*lines, f"optional, not usable: {', '.join(optional)}"] if optional else lines
