"""The same topics from a recording: what was seen yesterday is pointed at today, at its own pace.

Without --recording a short one of a simulated table is made first (a zip file that replays anywhere).
The pointing node replays it instead of a camera, a subscriber that knows PointStamped only prints what
comes, and a client asks. You see the recording's size, the answer, and the PointStamped.

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
    """Runs the demo; 1 if no point came."""
    parser = argparse.ArgumentParser(description="Point at things in a recording, over ROS 2.")
    parser.add_argument("words", nargs="?", default="red cube", help="what to ask for")
    parser.add_argument("--recording", type=Path, help="folder or .zip (default: one is made)")
    parser.add_argument("--frames", type=int, default=10, help="length of the one that is made")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for it, and for logs")
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
    """Writes so many frames of a simulated table at 10 frames per second."""
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
    """Node, subscriber and client as three processes; 1 where the subscriber got nothing."""
    from molmo_point_ros.nodes.background import running

    parameters = {"camera": "recording", "recording": str(path), "image_timeout_s": 60.0, "lifespan_s": 30.0}
    with running("node", options.out / "recording_node.log", parameters) as node:
        node.wait_for("ready", 300.0)
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
            # The subscriber may find the node a moment after the client does: then the first answer goes by.
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
