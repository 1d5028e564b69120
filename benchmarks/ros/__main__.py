"""Measures what ROS costs, without a model: latency from the camera's stamp to the target, CPU of the node, cost of each output.

python -m benchmarks.ros --cameras 1 2 4 8

Cameras, nodes and this program are processes of their own that talk over DDS. Latency is counted from the stamp of the image
(written right before it is published) to the target's PointStamped: until the node publishes it, and until this program, in
Python, has it. Answers to goals, or, with --tracking, the targets that are followed through every image while the model
answers twice a second. Everything shares this machine: its load is printed with the figures.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped
from molmo_point_msgs.srv import SetQuery
from molmo_point_ros.clients.point_client import PointAtClient
from molmo_point_ros.conversions import stamp_to_ns
from molmo_point_ros.outputs.publisher import KINDS, TOPICS, result_qos
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data

from molmo_point.errors import MolmoPointError

PARTS = "benchmarks.ros.parts"
START_S = 120.0
ANSWERS_PER_S = 2.0
"""Of the model, in continuous mode: about what a small Molmo does."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Latency:
    """One number of cameras, each with a node. Milliseconds; CPU in per cent of one core."""

    cameras: int
    images: int
    answers: int
    failed: int
    publish_p50_ms: float
    publish_p99_ms: float
    receive_p50_ms: float
    receive_p99_ms: float
    idle_cpu_percent: float
    busy_cpu_percent: float
    load_before: float


class Robot:
    """One camera, one node and their client."""

    def __init__(self, node: Any, number: int, options: argparse.Namespace) -> None:
        namespace = f"/measure{number}"
        reliable = "true" if options.reliable else "false"
        camera = [str(options.width), str(options.height), str(options.rate), "reliable" if options.reliable else "best_effort"]
        self._processes = [
            _start(["camera", *camera], ["-r", f"__ns:={namespace}"]),
            _start(["node"], ["-r", f"__ns:={namespace}", "-p", f"reliable:={reliable}", "-p", "image_timeout_s:=2.0"]),
        ]
        self.client = PointAtClient(node, f"{namespace}/molmo_point")
        self._set_query = node.create_client(SetQuery, f"{namespace}/molmo_point/set_query")
        self.published_ms: list[float] = []
        self.received_ms: list[float] = []
        self.failed = 0
        qos = result_qos(30.0)
        node.create_subscription(PointStamped, f"{namespace}/molmo_point/target_point", self._take, qos)

    def _take(self, message: PointStamped, info: Any) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.received_ms.append((time.time_ns() - stamp_ns) * 1e-6)
        self.published_ms.append((info["source_timestamp"] - stamp_ns) * 1e-6)

    def wait(self) -> None:
        """Wait until answers come through."""
        deadline_s = time.monotonic() + START_S
        while not self.received_ms:
            self.ask(1)
            if time.monotonic() > deadline_s:
                raise MolmoPointError("No target came from the node", f"{START_S:g} s", "measure on a machine that is less busy")
        self.failed = 0

    def ask(self, seconds: float) -> None:
        """Send goal after goal."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            try:
                self.client.point_at(["it"], timeout_s=5.0)
            except MolmoPointError:
                self.failed += 1

    def follow(self, seconds: float) -> None:
        """Have what the model points at followed.

        Raises:
            MolmoPointError: If the node does not take it up.
        """
        for queries in (["it"], []):
            answer = self._set_query.call_async(SetQuery.Request(queries=queries, max_rate=ANSWERS_PER_S))
            deadline_s = time.monotonic() + START_S
            while not answer.done() and time.monotonic() < deadline_s:
                time.sleep(0.01)
            if not answer.done() or not answer.result().success:
                said = answer.result().message if answer.done() else f"no answer in {START_S:g} s"
                raise MolmoPointError("The node does not follow", said, "see its log")
            time.sleep(seconds if queries else 0.0)

    def cpu_s(self) -> float:
        """Processor time of the node so far."""
        fields = Path(f"/proc/{self._processes[1].pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def close(self) -> None:
        """End the processes."""
        self.client.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def measure_latency(cameras: int, options: argparse.Namespace) -> Latency:
    """Latency and CPU with this many cameras at once, each with a node.

    Raises:
        MolmoPointError: If nothing comes through within two minutes.
    """
    load_before = os.getloadavg()[0]
    with _spun_node() as node:
        robots = [Robot(node, number, options) for number in range(cameras)]
        try:
            for robot in robots:
                robot.wait()
            idle = _cpu_percent(robots, lambda: time.sleep(options.seconds))
            for robot in robots:
                robot.received_ms.clear()
                robot.published_ms.clear()
            busy = _cpu_percent(robots, lambda: _all_work(robots, options))
            time.sleep(0.5)
            published = np.concatenate([robot.published_ms for robot in robots])
            received = np.concatenate([robot.received_ms for robot in robots])
            failed = sum(robot.failed for robot in robots)
        finally:
            for robot in robots:
                robot.close()
    figures = [float(np.percentile(values, q)) for values in (published, received) for q in (50, 99)]
    images = round(options.rate * options.seconds * cameras)
    return Latency(cameras, images, len(received), failed, *figures, idle, busy, load_before)


def measure_outputs(options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of the node for each output of one answer, each with a subscriber in this process."""
    with _spun_node() as node:
        for name, kind in KINDS.items():
            node.create_subscription(kind, TOPICS[name].replace("~", "/outputs"), lambda _: None, qos_profile_sensor_data)
        process = _start(["outputs", "200", str(options.width), str(options.height)], [], stdout=subprocess.PIPE)
        text, _ = process.communicate(timeout=START_S * 2)
    return json.loads(text.decode().strip().splitlines()[-1])


def _all_work(robots: list[Robot], options: argparse.Namespace) -> None:
    threads = [
        threading.Thread(target=robot.follow if options.tracking else robot.ask, args=(options.seconds,)) for robot in robots
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _cpu_percent(robots: list[Robot], work: Any) -> float:
    """CPU of one node on average while `work` runs, in per cent of a core."""
    before_s, started_s = [robot.cpu_s() for robot in robots], time.monotonic()
    work()
    used_s = sum(robot.cpu_s() for robot in robots) - sum(before_s)
    return used_s / (time.monotonic() - started_s) / len(robots) * 100.0


def _start(arguments: Sequence[str], ros: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    command = [sys.executable, "-m", PARTS, *arguments, "--ros-args", "--log-level", "error", *ros]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options)


@contextmanager
def _spun_node() -> Iterator[Any]:
    """A node that a thread spins."""
    node = rclpy.create_node("measure")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(5.0)
        node.destroy_node()


def _table(rows: list[Latency], outputs: dict[str, float]) -> str:
    head = f"{'cameras':>7} {'images':>6} {'targets':>7} {'failed':>6} "
    head += f"{'published p50':>13} {'p99':>7} {'received p50':>12} {'p99':>7} "
    lines = [head + f"{'idle CPU':>8} {'busy CPU':>8}"]
    for row in rows:
        latency = (
            f"{row.publish_p50_ms:10.1f} ms {row.publish_p99_ms:7.1f} {row.receive_p50_ms:9.1f} ms {row.receive_p99_ms:7.1f}"
        )
        cpu = f"{row.idle_cpu_percent:6.0f} % {row.busy_cpu_percent:6.0f} %"
        lines.append(f"{row.cameras:7} {row.images:6} {row.answers:7} {row.failed:6} {latency} {cpu}")
    lines += [f"output {name:22} {value:7.3f} ms" for name, value in outputs.items()]
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> int:
    """Measure and print. Returns 0, or 1 where nothing came through."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cameras", type=int, nargs="+", default=[1], help="numbers of cameras at once, e.g. 1 2 4 8")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rate", type=float, default=30.0, help="images per second and camera")
    parser.add_argument("--width", type=int, default=640, help="of the images, pixels")
    parser.add_argument("--height", type=int, default=480, help="of the images, pixels")
    parser.add_argument("--tracking", action="store_true", help="follow targets through every image, instead of goals")
    parser.add_argument("--reliable", action="store_true", help="offer and ask for images reliably; default: best effort")
    parser.add_argument("--without-outputs", action="store_true", help="leave out the cost of each output")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(args)
    rclpy.init(args=[])
    try:
        rows = [measure_latency(cameras, options) for cameras in options.cameras]
        outputs = {} if options.without_outputs else measure_outputs(options)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load_1_min": os.getloadavg()[0]}
    settings = {name: getattr(options, name) for name in ("rate", "width", "height", "reliable", "seconds", "tracking")}
    if options.json:
        print(json.dumps({**machine, **settings, "latency": [asdict(row) for row in rows], "output_ms": outputs}))
        return 0
    print(f"{machine['cores']} cores ({machine['machine']}), load {machine['load_1_min']:.1f}; {settings}")
    print(_table(rows, outputs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
