"""A node outlives single failures of its executor, and ends at the end of ROS or when it fails for good."""

import pytest

spinning = pytest.importorskip(
    "molmo_point_ros.nodes.spinning", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError
)


class ScriptedNode:
    """A node, its context and its logger in one; also the executor, which does one step of a script per spin."""

    def __init__(self, *steps):
        self.steps, self.spins, self.errors, self.alive = list(steps), 0, [], True
        self.context = self

    def ok(self):
        return self.alive

    def get_logger(self):
        return self

    def debug(self, text):
        pass

    def error(self, text):
        self.errors.append(text)

    def spin(self):
        self.spins += 1
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, BaseException):
            raise step
        if step == "end":
            self.alive = False
            raise RuntimeError("the context is no more")


def test_a_failed_wait_is_no_reason_to_end_nor_to_alarm():
    node = ScriptedNode(spinning.InvalidHandle("destroyed"), spinning.InvalidHandle("destroyed"))
    spinning.spin(node, node)
    assert node.spins == 3 and not node.errors


def test_an_unexpected_failure_is_logged_with_its_traceback():
    node = ScriptedNode(ValueError("a client that vanished"))
    spinning.spin(node, node)
    assert node.spins == 2
    (error,) = node.errors
    assert "a client that vanished" in error and "Traceback" in error


def test_the_end_of_ros_is_the_end():
    node = ScriptedNode("end", ValueError("never reached"))
    spinning.spin(node, node)
    assert node.spins == 1 and not node.errors


def test_what_fails_again_and_again_ends_the_node():
    node = ScriptedNode(*[ValueError("broken")] * 1000)
    with pytest.raises(ValueError, match="broken"):
        spinning.spin(node, node)
    assert node.spins == spinning.MOST_FAILURES


def test_a_keyboard_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        spinning.spin(node := ScriptedNode(KeyboardInterrupt()), node)
