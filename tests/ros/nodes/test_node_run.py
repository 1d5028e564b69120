"""A node ends in order: first its work, then the executor, then its threads, then the node, then ROS."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

from molmo_point_ros.nodes import node_run  # noqa: E402
from molmo_point_ros.nodes.name_watch import NameWatch  # noqa: E402
from rclpy.node import Node  # noqa: E402

from molmo_point.errors import InputError  # noqa: E402

pytestmark = [pytest.mark.ros, pytest.mark.timeout(240)]
PROGRAM = Path(__file__).parents[1] / "shutdowns.py"


class ScriptedNode(Node, node_run.RunnableNode):
    """Notes the steps of its end, and whether ROS was alive in them."""

    def __init__(self, steps, failure=None):
        super().__init__("scripted_run")
        self.steps, self.failure, self.left = steps, failure, 3

    def start(self):
        if self.failure is not None:
            raise self.failure
        self.create_timer(0.01, self._work)
        return True

    def _work(self):
        self.left -= 1

    @property
    def is_done(self):
        return self.left <= 0

    def _note(self, step):
        self.steps.append((step, self.context.ok()))

    def end_work(self):
        self._note("end_work")

    def close(self):
        self._note("close")

    def destroy_node(self):
        self._note("destroy")
        super().destroy_node()


@pytest.mark.parametrize("threads", [1, 3])
def test_ros_is_alive_until_the_node_is_gone(domain, monkeypatch, threads):
    monkeypatch.setattr(node_run, "_leave", lambda code: None)
    steps = []
    assert node_run.run_node("scripted", [], lambda: ScriptedNode(steps), threads) == 0
    assert steps == [("end_work", True), ("close", True), ("destroy", True)]
    assert not rclpy.ok()


def test_a_node_that_cannot_start_is_a_reason_and_is_freed(domain, monkeypatch, capfd):
    monkeypatch.setattr(node_run, "_leave", lambda code: None)
    steps = []
    assert node_run.run_node("scripted", [], lambda: ScriptedNode(steps, InputError("the arm must have a \x1b[2Jplug"))) == 1
    assert [step for step, _ in steps] == ["end_work", "close", "destroy"]
    said = capfd.readouterr().err
    assert "cannot start" in said and "plug" in said and "\x1b[2J" not in said and "Traceback" not in said


def test_the_first_signal_interrupts_and_later_ones_do_not():
    signals = node_run.EndSignals()
    signals.install()
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        signals.wait(lambda: False)
    finally:
        signals.restore()


def test_a_second_node_of_one_name_is_named_once():
    class Graph:
        number, said = 1, []

        def create_timer(self, period_s, callback):
            return callback

        def get_name(self):
            return "molmo_pick"

        def get_namespace(self):
            return "/robot"

        def get_fully_qualified_name(self):
            return "/robot/molmo_pick"

        def get_node_names_and_namespaces(self):
            return [("molmo_pick", "/robot")] * self.number + [("molmo_pick", "/other")]

        def get_logger(self):
            return self

        def warning(self, text):
            self.said.append(text)

    graph = Graph()
    watch = NameWatch(graph)
    for graph.number in (1, 2, 2, 1, 2):
        watch.look()
    assert len(graph.said) == 2 and "/robot/molmo_pick" in graph.said[0] and "2 nodes" in graph.said[0]


@pytest.mark.parametrize(("module", "code"), [("node", 0), ("command", 130)])
def test_ctrl_c_while_libraries_load_is_quiet(domain, module, code):
    # The program waits in its first import, as long as the signal needs.
    text = f"""
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "rclpy":
            print("loading", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
import molmo_point_ros.{module} as program
sys.exit(program.main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=domain, text=True
    )
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (code, "")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_ends_at_random_moments_are_clean(domain):
    command = [sys.executable, str(PROGRAM), "--count", "100", "--seed", "0"]
    done = subprocess.run(command, env=domain, capture_output=True, text=True, timeout=2900)
    assert done.returncode == 0, done.stdout + done.stderr
