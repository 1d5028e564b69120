"""Replay a recording instead of a camera, and point at objects in it.

Without --recording the demo first records a simulated table to a zip file. The pointing node replays
the recording at its own rate, a subscriber prints each PointStamped, and a client asks. The demo prints
the size of the recording, the answer and the PointStamped.

    ros2_ws/run python demos/06_recording.py "red cube" --recording out/demo/table.zip
"""

import argparse
import subprocess
import sys
from pathlib import Path

from molmo_point import Recording, RecordingWriter, SimulatedCamera
from molmo_point.errors import MolmoPointError
from molmo_point.sim import TabletopScene

SEED = 28


def main() -> int:
    """Run the demo; return 1 if no point arrived."""
    parser = argparse.ArgumentParser(description="Point at objects in a recording, over ROS 2.")
    parser.add_argument("words", nargs="?", default="red cube", help="object to ask for")
    parser.add_argument("--recording", type=Path, help="folder or .zip (default: record one)")
    parser.add_argument("--frames", type=int, default=10, help="number of frames to record")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder of the recording and the log")
    options = parser.parse_args()
    try:
        path = options.recording or record(options.out / "table.zip", options.frames)
        with Recording(path) as recording:
            print(f"{path}: {len(recording)} frames of {recording[0].size_wh[0]}x{recording[0].size_wh[1]}")
        return ask(path, options)
    except ImportError as error:
        print(f"this needs ROS 2 ({error}). What to do: make setup", file=sys.stderr)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
    return 1


def record(path: Path, count: int) -> Path:
    """Record frames of a simulated table at 10 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with (
        TabletopScene.random(SEED) as scene,
        SimulatedCamera(scene, seed=SEED, fps=10) as camera,
        RecordingWriter(path) as writer,
    ):
        for _ in range(count):
            writer.write(camera.read())
    return path


def ask(path: Path, options: argparse.Namespace) -> int:
    """Run node, subscriber and client; return 1 if the subscriber received nothing."""
    from molmo_point_ros.nodes.background import running

    parameters = {"camera": "recording", "recording": str(path), "image_timeout_s": 60.0, "lifespan_s": 30.0}
    with running("node", options.out / "recording_node.log", parameters) as node:
        node.wait_for_action("molmo_point/point_at", 300.0)
        command = [
            sys.executable,
            "-m",
            "molmo_point_ros.subscriber",
            "--only",
            "point",
            "--count",
            "1",
            "--timeout",
            "120",
        ]
        subscriber = subprocess.Popen(command)
        client = [sys.executable, "-m", "molmo_point_ros.client", options.words, "--timeout", "120"]
        for _ in range(3):
            # The subscriber may discover the node after the client and miss the first answer.
            if subprocess.run(client, check=False).returncode:
                break
            try:
                return subscriber.wait(10)
            except subprocess.TimeoutExpired:
                continue
        subscriber.kill()
        return 1


if __name__ == "__main__":
    sys.exit(main())
