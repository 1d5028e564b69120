"""The soak program notices growth; and a short soak of a real node finds none."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run through ros2_ws/run", exc_type=ImportError)
pytest.importorskip("molmo_point_msgs.action", reason="needs the built interfaces: make setup", exc_type=ImportError)

import soak

pytestmark = pytest.mark.ros


def rows(sizes_mib, threads=20):
    made = [{"rss_mib": size, "threads": 20, "files": 30} for size in sizes_mib]
    for row in made[-2:]:
        row["threads"] = threads
    return made


def test_a_start_that_grows_is_no_leak_and_a_slope_is():
    assert soak.growth(rows([100, 140, 150, 150, 151, 150, 151, 150, 151, 152])) == ""
    assert "memory by 30.0 MiB from 112.5" in soak.growth(rows([100 + 5 * step for step in range(10)]))


def test_threads_that_stay_are_a_leak():
    assert "threads from 20 to 29" in soak.growth(rows([100.0] * 10, threads=29))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_short_soak_leaves_memory_as_it_was(domain):
    small = ["--frames", "1500", "--goals", "300", "--width", "160", "--height", "120", "--every", "3"]
    command = [sys.executable, soak.__file__, *small, "--json"]
    done = subprocess.run(command, env=domain, capture_output=True, text=True, timeout=800)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stdout + done.stderr
    ends = lines[-1]["ends"]
    assert ends["NONE"] >= 200 and ends["TF_ERROR"] >= 20, ends
