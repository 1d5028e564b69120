"""Many frames and goals through a real node over DDS, and its memory over time.

ros2_ws/run python tests/ros/soak.py --frames 20000 --goals 2000
ros2_ws/run python tests/ros/soak.py --kind pick --goals 3000

The camera and the pointing node (with a model that answers at once) are processes of their own. Goals are spread evenly over
the frames; every tenth is cancelled at once, every tenth names an unknown frame. With `--kind pick` the node is the picking node
with a scripted arm; every tenth goal is cancelled, every tenth is stopped by ~/stop, every tenth is absurd. Ends with 1 if the
node's memory, threads or open files grew between the second and the last fifth.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import rclpy
from molmo_point_msgs.action import PickObject
from molmo_point_ros.clients.pick_client import PickClient
from molmo_point_ros.clients.point_client import PointAtClient
from molmo_point_ros.inputs.image_qos import image_qos
from molmo_point_ros.nodes.goal_error import GoalError, code_name
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo

PARTS = "benchmarks.ros.parts"
START_S = 120.0
MOST_GROWTH_MIB, MOST_GROWTH_SHARE = 8.0, 0.05


def start(arguments, ros):
    """A part of the measuring program, in the namespace /soak."""
    command = [sys.executable, "-m", PARTS, *arguments, "--ros-args", "--log-level", "fatal", "-r", "__ns:=/soak", *ros]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def state_of(process):
    """Resident memory in MiB, threads, open files."""
    folder = Path(f"/proc/{process.pid}")
    pages = int((folder / "statm").read_text(encoding="utf-8").split()[1])
    files = len(list((folder / "fd").iterdir()))
    return {"rss_mib": round(pages * 4096 / 2**20, 1), "threads": len(list((folder / "task").iterdir())), "files": files}


class Soak:
    """The client's side."""

    def __init__(self, options):
        self.options, self.frames, self.goals, self.ends = options, 0, 0, {}
        self.camera = start(["camera", str(options.width), str(options.height), str(options.rate), "best_effort"], [])
        self.pointing = start(["node"], ["-p", "image_timeout_s:=5.0", "-p", "tf_timeout_s:=0.05"])
        self.node = rclpy.create_node("soak", namespace="/soak")
        self.node.create_subscription(CameraInfo, "color/camera_info", self._count, image_qos(False))
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()
        self.client = PointAtClient(self.node)

    def _count(self, _):
        self.frames += 1

    def ask(self):
        """One goal: answered, cancelled or refused."""
        self.goals += 1
        kind = self.goals % 10
        try:
            if kind == 1:
                call = self.client.send(["it"])
                call.cancel()
                end = code_name(call.result(20.0).error_code)
            else:
                self.client.point_at(["it"], timeout_s=20.0, target_frame="nowhere" if kind == 2 else "")
                end = "NONE"
        except GoalError as error:
            end = code_name(error.code)
        self.ends[end] = self.ends.get(end, 0) + 1

    def run(self, say):
        """All of it. Returns the rows that were said."""
        if not self.client.wait_for_server(START_S):
            raise SystemExit("the pointing node did not come up")
        rows, started_s, options = [], time.monotonic(), self.options
        while self.frames < options.frames or self.goals < options.goals:
            if self.pointing.poll() is not None or self.camera.poll() is not None:
                raise SystemExit(f"a process ended: node {self.pointing.poll()}, camera {self.camera.poll()}")
            if self.goals < options.goals and self.goals * options.frames <= self.frames * options.goals:
                self.ask()
            else:
                time.sleep(0.02)
            if time.monotonic() - started_s >= len(rows) * options.every:
                rows.append(self._row(started_s))
                say(rows[-1])
        rows.append(self._row(started_s))
        say(rows[-1])
        return rows

    def _row(self, started_s):
        row = {"seconds": round(time.monotonic() - started_s), "frames": self.frames, "goals": self.goals}
        return {**row, **state_of(self.pointing)}

    def close(self):
        self.client.close()
        self.executor.shutdown(timeout_sec=5.0)
        self.thread.join(5.0)
        self.node.destroy_node()
        for process in (self.camera, self.pointing):
            process.terminate()
        for process in (self.camera, self.pointing):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


class PickSoak:
    """The client's side for the picking node; it sends no frames."""

    def __init__(self, options):
        self.options, self.goals, self.ends = options, 0, {}
        program = str(Path(__file__).with_name("scripted_picker.py"))
        ros = ["--ros-args", "--log-level", "fatal", "-r", "__ns:=/soak"]
        self.picking = subprocess.Popen([sys.executable, program, *ros], env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.client = PickClient(server="/soak/molmo_pick")

    def ask(self):
        """One goal: picked, cancelled, stopped or refused."""
        self.goals += 1
        kind = self.goals % 10
        goal = PickObject.Goal(query="x" * 5000 if kind == 3 else "the cube", dry_run=True)
        call = self.client.dispatch(goal)
        if kind == 1:
            call.cancel()
        elif kind == 2 and call.wait_answered(20.0):
            self.client.stop()
        try:
            end = code_name(call.result(20.0).error_code)
        except GoalError as error:
            end = code_name(error.code)
        self.ends[end] = self.ends.get(end, 0) + 1

    def run(self, say):
        """All of it. Returns the rows that were said."""
        if not self.client.wait_for_server(START_S):
            raise SystemExit("the picking node did not come up")
        rows, started_s = [], time.monotonic()
        while self.goals < self.options.goals:
            self.ask()
            if self.picking.poll() is not None:
                raise SystemExit(f"the node ended: {self.picking.poll()}")
            if time.monotonic() - started_s >= len(rows) * self.options.every or self.goals == self.options.goals:
                row = {"seconds": round(time.monotonic() - started_s), "frames": 0, "goals": self.goals}
                rows.append({**row, **state_of(self.picking)})
                say(rows[-1])
        return rows

    def close(self):
        self.client.close()
        self.picking.terminate()
        self.picking.wait(15)


def growth(rows):
    """What grew between the second and the last fifth (their medians), in words; empty where nothing did."""
    fifth = max(len(rows) // 5, 1)
    early, late = rows[fifth : 2 * fifth], rows[-fifth:]
    found = []
    before, after = (statistics.median(row["rss_mib"] for row in part) for part in (early, late))
    if after - before > max(MOST_GROWTH_MIB, MOST_GROWTH_SHARE * before):
        found.append(f"memory by {after - before:.1f} MiB from {before:.1f} MiB")
    for name in ("threads", "files"):
        before, after = (statistics.median(row[name] for row in part) for part in (early, late))
        if after > before + 3:
            found.append(f"{name} from {before:g} to {after:g}")
    return ", ".join(found)


def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kind", choices=("point", "pick"), default="point", help="node under test")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--goals", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--every", type=float, default=15.0, help="seconds between two rows")
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    options = parser.parse_args(args)
    rclpy.init(args=[])
    soak = PickSoak(options) if options.kind == "pick" else Soak(options)
    try:
        rows = soak.run(lambda row: print(json.dumps(row) if options.json else _line(row), flush=True))
    finally:
        soak.close()
        rclpy.try_shutdown()
    grown = growth(rows)
    print(
        json.dumps({"ends": soak.ends, "grown": grown})
        if options.json
        else f"goals ended with {soak.ends}; grew: {grown or 'nothing'}"
    )
    return 1 if grown else 0


def _line(row):
    counts = f"{row['seconds']:6} s {row['frames']:7} frames {row['goals']:6} goals"
    return f"{counts} {row['rss_mib']:8.1f} MiB {row['threads']:4} threads {row['files']:4} files"


if __name__ == "__main__":
    sys.exit(main())
