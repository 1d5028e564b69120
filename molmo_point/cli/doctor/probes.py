"""Probes of the machine; every import that may crash runs in a process of its own."""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[3])

OK, WARN, FAIL, NOTE = "ok", "warn", "fail", "note"


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: Subject of the check.
        status: "ok"; "fail": a required part is broken; "warn": an optional part is missing or old; "note": a fact.
        found: Finding, in words.
        fix: Remedy; empty if there is nothing to do.
        details: Lines to print below the others; empty for most checks.
        report: The finding for programs; None for most checks.
    """

    name: str
    status: str
    found: str
    fix: str = ""
    details: tuple[str, ...] = ()
    report: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON writes it; `report` only if there is one."""
        words = {"name": self.name, "status": self.status, "found": self.found, "fix": self.fix}
        return words if self.report is None else words | {"report": self.report}


def installed_version(*distributions: str) -> str | None:
    """Return the version of the first of these distributions that is installed, without importing it."""
    for name in distributions:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        # Broken metadata has no version at all, although its type is str.
        if found:
            return str(found)
    return None


def has_module(name: str) -> bool:
    """Look for a top-level module; nothing is imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def at_least(version: str, wanted: str) -> bool:
    """Compare two version numbers by their leading numbers; True if the first is not below the second."""

    def numbers(text: str) -> tuple[int, ...]:
        found = re.match(r"\d+(?:\.\d+)*", text)
        return tuple(int(part) for part in found.group().split(".")) if found else (0,)

    return numbers(version) >= numbers(wanted)


class _Processes:
    """Processes of the probes, each with a process group of its own."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []
        self._closed = False
        self._lock = threading.Lock()

    def open(self) -> None:
        """Let processes start."""
        with self._lock:
            self._closed = False

    def start(self, command: list[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
        """Start a process; OSError after `close`."""
        with self._lock:
            if self._closed:
                raise OSError("the doctor was interrupted")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment,
                start_new_session=True,
            )
            self._running = [*(each for each in self._running if each.poll() is None), process]
            return process

    def close(self) -> None:
        """Kill the processes that still run, and let none start."""
        with self._lock:
            self._closed = True
            for process in self._running:
                if process.poll() is None:
                    _kill(process)


_PROCESSES = _Processes()


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill a process and its children."""
    with contextlib.suppress(OSError):
        process.kill() if sys.platform == "win32" else os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def probing() -> Iterator[None]:
    """Context in which probes run; an interrupt in it kills them and lets no others start."""
    _PROCESSES.open()
    try:
        yield
    except BaseException:
        _PROCESSES.close()
        raise


def run_probe(program: str, *arguments: str, timeout_s: float = 90.0, environment: dict[str, str] | None = None) -> Any:
    """Run a short Python program in its own process, which ends after a timeout, and decode the JSON on its last line.

    Returns:
        The JSON; or `{"error": words}` if the program failed, crashed, hung or printed no JSON.
    """
    settings = {**os.environ, **(environment or {})}
    settings["PYTHONPATH"] = os.pathsep.join(path for path in (_PACKAGE_ROOT, settings.get("PYTHONPATH", "")) if path)
    try:
        with _PROCESSES.start([sys.executable, "-c", program, *arguments], settings) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                return {"error": f"no answer within {timeout_s:g} s"}
    except OSError as error:
        return {"error": f"no process could be started: {error}"}
    lines = stdout.strip().splitlines()
    if process.returncode == 0 and lines:
        try:
            return json.loads(lines[-1])
        except ValueError:
            pass
    if process.returncode < 0:
        return {"error": f"crashed with signal {-process.returncode}"}
    complaint = [line for line in stderr.strip().splitlines() if line.strip()]
    return {"error": (complaint[-1].strip() if complaint else f"ended with code {process.returncode}")[:300]}


IMPORT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps({}))
"""

TAUGHT = """
import json, sys
from molmo_point.errors import MolmoPointError
from molmo_point.model.taught.library_file import read_library
try:
    library = read_library(sys.argv[1])
    views = sum(len(each.views) for each in library.objects)
    print(json.dumps({"features": library.features, "names": library.names, "views": views}))
except MolmoPointError as error:
    print(json.dumps({"problem": f"{error.what}: {error.given}", "fix": error.fix}))
"""

TORCH = """
import json, torch
gpus = []
if torch.cuda.is_available():
    for i in range(torch.cuda.device_count()):
        p = torch.cuda.get_device_properties(i)
        gpus.append(f"{p.name}, {p.total_memory / 2**30:.0f} GiB, compute {p.major}.{p.minor}")
print(json.dumps({"gpus": gpus, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}))
"""

# The driver's own function that finds devices, with the remedy of the driver if it fails.
CAMERA = """
import dataclasses, importlib, json, sys
from molmo_point.errors import MolmoPointError
module, _, name = sys.argv[1].partition(":")
try:
    devices = getattr(importlib.import_module(module), name)()
    print(json.dumps({"devices": [dataclasses.asdict(device) for device in devices]}))
except MolmoPointError as error:
    print(json.dumps({"error": f"{error.what} ({error.given})", "fix": error.fix}))
"""

# The smallest MuJoCo scene with anything to see in it.
RENDER = """
import json
import mujoco
xml = '<mujoco><worldbody><light pos="0 0 2"/><geom type="sphere" size=".3" rgba="1 0 0 1"/>'
xml += '<camera name="c" pos="0 0 2"/></worldbody></mujoco>'
model = mujoco.MjModel.from_xml_string(xml)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 32, 32)
renderer.update_scene(data, camera="c")
image = renderer.render()
print(json.dumps({"bright": int(image.max())}))
"""

RMW = """
import importlib, json
utilities = importlib.import_module("rclpy.utilities")
print(json.dumps({"rmw": utilities.get_rmw_implementation_identifier()}))
"""
