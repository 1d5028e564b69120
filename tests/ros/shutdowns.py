"""Ends nodes by SIGINT and SIGTERM at random moments of their work, and reports every end that is not clean.

ros2_ws/run python tests/ros/shutdowns.py --count 100 --seed 0

A clean end has exit code 0 within `LIMIT_S`, no traceback, and no word of a crash. Exits with 1 if an end is not clean.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import rclpy
from molmo_point_msgs.action import CountObjects, PickObject, PointAt
from molmo_point_msgs.srv import Deproject, SetQuery
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

HERE = Path(__file__).resolve().parent
LIMIT_S, START_S = 20.0, 90.0
BAD_WORDS = ("Traceback", "never retrieved", "terminate called", "Fatal Python", "Segmentation", "Exception ignored")
ANSWERS = {
    "slow": {"text": '<point x="50.0" y="50.0" alt="it">it</point>', "seconds": 30.0},
    "it": {"text": '<point x="50.0" y="50.0" alt="it">it</point>'},
    "them": {"text": 'Counting the them shows a total of 1. <point x="50.0" y="50.0" alt="it">it</point>'},
}


def programs(folder):
    """Command line of every node, without its ROS arguments."""
    script = Path(folder) / "answers.json"
    script.write_text(json.dumps(ANSWERS), encoding="utf-8")
    own = ["-p", "camera:=simulated", "-p", "diagnostics_period_s:=0.1"]
    return {
        "node": ([str(HERE / "scripted_node.py"), str(script)], own),
        "pick_node": ([str(HERE / "scripted_picker.py")], []),
        "camera_node": (["-m", "molmo_point_ros.camera_node"], []),
        "capture_node": (["-m", "molmo_point_ros.capture_node"], ["-p", f"folder:={folder}/samples"]),
        "simulated_arm": (["-m", "molmo_point_ros.pick_node"], ["-p", "scene_seed:=1", "-p", "object_count:=5"]),
        "real_node": (["-m", "molmo_point_ros.node"], own),
    }


STARTS = {"node": "real_node", "pick_node": "simulated_arm"}
"""Programs that are ended while they start: the scripted ones import the package without its program module."""


MOMENTS = {
    "node": ("start", "idle", "point", "preempt", "count", "continuous", "deproject", "cancel"),
    "pick_node": ("start", "idle", "pick", "cancel_pick"),
    "camera_node": ("start", "idle"),
    "capture_node": ("start", "idle"),
    "simulated_arm": ("start", "pick", "cancel_pick"),
}


class Load:
    """Work for a node: goals and requests, from one client node."""

    def __init__(self):
        self.node = rclpy.create_node("shutdowns")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()

    def _spin(self):
        while not self.end.is_set():
            with suppress(Exception):
                self.executor.spin_once(timeout_sec=0.2)

    def wait_ready(self, name, process, log):
        """Wait until a node is found, and until one with a model or an arm says that it is ready."""
        until_s = time.monotonic() + START_S
        waits = any(word in name for word in ("pick", "point"))
        while time.monotonic() < until_s and process.poll() is None:
            names = {f"{space.rstrip('/')}/{each}" for each, space in self.node.get_node_names_and_namespaces()}
            if name in names and (not waits or "ready" in log.read_text(errors="replace")):
                return True
            time.sleep(0.05)
        return False

    def begin(self, name, moment, stop):
        """Begin the work of a moment, in a thread that ends with `stop`."""
        slow, it = PointAt.Goal(queries=["slow"]), PointAt.Goal(queries=["it"])
        many, pick = CountObjects.Goal(query="them", samples=50), PickObject.Goal(query="slow red ball")
        pixel = Deproject.Request(u=[60.0], v=[40.0])
        work = {
            "point": lambda: self._goals(PointAt, f"{name}/point_at", [slow], stop),
            "preempt": lambda: self._goals(PointAt, f"{name}/point_at", [it] * 10_000, stop),
            "count": lambda: self._goals(CountObjects, f"{name}/count_objects", [many], stop),
            "cancel": lambda: self._goals(PointAt, f"{name}/point_at", [slow] * 1000, stop, cancels=True),
            "pick": lambda: self._goals(PickObject, f"{name}/pick_object", [pick], stop),
            "cancel_pick": lambda: self._goals(PickObject, f"{name}/pick_object", [pick] * 1000, stop, cancels=True),
            "continuous": lambda: self._requests(SetQuery, f"{name}/set_query", [SetQuery.Request(queries=["it"])], stop),
            "deproject": lambda: self._requests(Deproject, f"{name}/deproject", [pixel] * 10_000, stop),
        }.get(moment)
        if work is not None:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()

    def _goals(self, kind, name, goals, stop, cancels=False):
        client = ActionClient(self.node, kind, name)
        client.wait_for_server(timeout_sec=20.0)
        handles = []
        for goal in goals:
            if stop.wait(0.03):
                break
            future = client.send_goal_async(goal, feedback_callback=lambda _: None)
            future.add_done_callback(lambda done: handles.append(done.result()))
            while cancels and handles:
                handle = handles.pop()
                if handle.accepted:
                    handle.get_result_async()
                    handle.cancel_goal_async()
        stop.wait(LIMIT_S)
        self.executor.create_task(client.destroy)

    def _requests(self, kind, name, requests, stop):
        client = self.node.create_client(kind, name)
        client.wait_for_service(timeout_sec=20.0)
        for request in requests:
            client.call_async(request)
            if stop.wait(0.01):
                break
        stop.wait(LIMIT_S)
        self.executor.create_task(self.node.destroy_client, client)

    def close(self):
        self.end.set()
        self.thread.join(5.0)
        self.node.destroy_node()


def one(load, folder, number, kind, moment, sign, delay_s):
    """Start a node, end it at a moment of its work, and return the report of its end."""
    program, ros = programs(folder)[STARTS.get(kind, kind) if moment == "start" else kind]
    space = f"/end{os.getpid()}_{number}"
    log = Path(folder) / f"{number}-{kind}.txt"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, *program, "--ros-args", "-r", f"__ns:={space}", *ros],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
            start_new_session=True,
        )
    name = {"node": "molmo_point", "camera_node": "camera", "capture_node": "hand_eye_capture"}.get(kind, "molmo_pick")
    stop, ready = threading.Event(), True
    if moment != "start":
        ready = load.wait_ready(f"{space}/{name}", process, log)
        load.begin(f"{space}/{name}", moment, stop)
    time.sleep(delay_s)
    process.send_signal(sign)
    began_s = time.monotonic()
    try:
        code = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        code = "hung"
        process.wait()
    stop.set()
    text = log.read_text(errors="replace")
    words = [word for word in BAD_WORDS if word in text]
    return {
        "number": number,
        "kind": kind,
        "moment": moment,
        "signal": signal.Signals(sign).name,
        "delay_s": round(delay_s, 3),
        "code": code,
        "ready": ready,
        "took_s": round(time.monotonic() - began_s, 2),
        "words": words,
        "clean": code == 0 and not words and ready,
        "log": str(log),
    }


def drawn(count, seed, kinds, moments=None):
    """Seeded choice of node, moment, signal and delay."""
    rng = random.Random(seed)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        moment = rng.choice([each for each in MOMENTS[kind] if not moments or each in moments])
        delay_s = rng.uniform(0.15, 3.0) if moment == "start" else rng.uniform(0.0, 1.2)
        yield number, kind, moment, rng.choice((signal.SIGINT, signal.SIGTERM)), delay_s


def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kinds", nargs="+", choices=tuple(MOMENTS), default=["node", "pick_node", "camera_node", "capture_node"]
    )
    parser.add_argument("--moments", nargs="+")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(args)
    rclpy.init(args=[])
    load, bad, slowest_s = Load(), 0, 0.0
    folder = tempfile.mkdtemp(prefix="shutdowns-")
    for number, kind, moment, sign, delay_s in drawn(options.count, options.seed, options.kinds, options.moments):
        report = one(load, folder, number, kind, moment, sign, delay_s)
        bad += not report["clean"]
        slowest_s = max(slowest_s, report["took_s"])
        print(json.dumps(report) if options.json else " ".join(map(str, report.values())), flush=True)
    load.close()
    rclpy.try_shutdown()
    print(json.dumps({"count": options.count, "bad": bad, "slowest_s": slowest_s}), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
