"""The scripted answers, a recording of the box scene, and processes on a ROS domain of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from molmo_point.camera.recording import RecordingWriter
from molmo_point.frame import RgbdFrame

# For the modules that several tests share: pytest's importlib mode puts no folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from box_scene import BOX_UV, FRAME, HOLE_UV, INTRINSICS, WALL_UV, box_scene, point_text

SLOW_S, LATE_S = 20.0, 1.5

ANSWERS = {
    "the box": {"text": point_text(BOX_UV, "the box")},
    "the hole": {"text": point_text(HOLE_UV, "the hole")},
    "the wall": {"text": point_text(WALL_UV, "the wall")},
    "the unicorn": {"text": "There are none."},
    "gibberish": {"text": "I would rather not say."},
    "the late box": {"text": point_text(BOX_UV, "the late box"), "seconds": LATE_S},
    "the slow box": {"text": point_text(BOX_UV, "the slow box") + " that is all", "seconds": SLOW_S},
    "the crash": {"fail": "out of memory"},
}


@pytest.fixture(scope="session")
def answers_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script of tests/ros/scripted_node.py."""
    path = tmp_path_factory.mktemp("script") / "answers.json"
    path.write_text(json.dumps(ANSWERS), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def record_scene(tmp_path_factory: pytest.TempPathFactory):
    """Writes the scene as a recording of 10 frames, with the depth captured `skew_s` after the colour."""

    def record(skew_s: float = 0.0, rate_hz: float = 10.0, frame: str = FRAME) -> Path:
        folder = tmp_path_factory.mktemp("recording")
        color, depth = box_scene()
        with RecordingWriter(folder, depth_unit_m=None) as writer:
            for number in range(10):
                stamp_ns = 1_000_000_000 + round(number * 1e9 / rate_hz)
                depth_stamp_ns = stamp_ns + round(skew_s * 1e9)
                writer.write(RgbdFrame(color, depth, INTRINSICS, stamp_ns, frame, depth_stamp_ns))
        return folder

    return record


@dataclass
class Processes:
    """Child processes on one ROS domain, each with its output in a file."""

    folder: Path
    environment: dict[str, str]
    running: list[tuple[subprocess.Popen, Path]] = field(default_factory=list)

    def start(
        self,
        program: str | Path,
        *arguments: str,
        parameters: dict[str, object] | None = None,
        namespace: str = "",
        remappings: dict[str, str] | None = None,
    ) -> tuple[subprocess.Popen, Path]:
        """Start a module of molmo_point_ros, or a file, with ROS parameters. Returns the process and its output file."""
        what = [str(program)] if str(program).endswith(".py") else ["-m", f"molmo_point_ros.{program}"]
        ros = [item for name, value in (parameters or {}).items() for item in ("-p", f"{name}:={_yaml(value)}")]
        ros += ["-r", f"__ns:={namespace}"] if namespace else []
        ros += [item for name, other in (remappings or {}).items() for item in ("-r", f"{name}:={other}")]
        output = self.folder / f"{len(self.running)}-{Path(program).stem}.txt"
        command = [sys.executable, *what, *arguments, *(["--ros-args", *ros] if ros else [])]
        with open(output, "wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env=self.environment, start_new_session=True
            )
        self.running.append((process, output))
        return process, output

    def output(self) -> str:
        """What every process wrote, for the message of a failed test."""
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for _, path in self.running)

    def end(self) -> None:
        """End all of them: politely, then not."""
        for process, _ in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 10
        for process, _ in self.running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def _yaml(value: object) -> str:
    return json.dumps(value) if isinstance(value, (bool, str)) else str(value)


@pytest.fixture(scope="module")
def domain() -> Iterator[dict[str, str]]:
    """A ROS domain that no other test run on this machine uses, for this process and its children."""
    before = {name: os.environ.get(name) for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY")}
    # 0 to 101 are safe on Linux (higher ones meet the ephemeral ports); 0 is everybody's default.
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    yield dict(os.environ, PYTHONUNBUFFERED="1", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="module")
def processes(domain: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Starts processes; all of them are ended with the module."""
    started = Processes(tmp_path_factory.mktemp("processes"), domain)
    yield started
    started.end()
