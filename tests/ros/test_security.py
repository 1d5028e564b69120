"""Security is not lost silently: enforced without keys it ends a node with a reason, and so does a refused argument."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

pytestmark = pytest.mark.ros


def run(module, domain, *arguments, **environment):
    """Exit code and output of a node that must not come up."""
    command = [sys.executable, "-m", f"molmo_point_ros.{module}", *arguments]
    done = subprocess.run(command, env={**domain, **environment}, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["node", "camera_node", "pick_node"])
def test_a_node_that_must_be_secure_does_not_run_without_keys(domain, tmp_path, module):
    secure = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": str(tmp_path)}
    code, output = run(module, domain, **secure)
    assert code == 1 and "cannot start" in output and "SECURITY" in output, output
    assert "Traceback" not in output and "ready" not in output


@pytest.mark.parametrize(
    ("module", "parameter", "words"),
    [
        ("node", "max_skew_s:=5.0", "out of range"),
        ("camera_node", "camera:=teapot", "must be one of"),
        ("pick_node", "attempts:=99", "out of range"),
        ("pick_node", "aside_xy_m:=[1.0]", "two finite numbers"),
    ],
)
def test_a_refused_parameter_is_a_reason_and_not_a_traceback(domain, module, parameter, words):
    code, output = run(module, domain, "--ros-args", "-p", parameter)
    assert code == 1 and words in output and "Traceback" not in output, output
