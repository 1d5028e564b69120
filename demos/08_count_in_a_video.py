"""Count objects in a video file from Python, without ROS and depth, and write a CSV file.

Without a file the demo makes a short video of a table from which objects disappear. It shows a progress
bar, then a line for every change of the count that --agree consecutive frames confirm. The columns of
the CSV are time, count, stated count, and consistency of the two.

    ros2_ws/run python demos/08_count_in_a_video.py video.mp4 "screws" --every 15
"""

import argparse
import csv
import dataclasses
import io
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from molmo_point import Pointer
from molmo_point.camera.video_file import VideoFile
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.files import check_writable, write_file

SEED, COUNT, FPS, SECONDS_EACH = 5, 6, 5, 2


def main() -> int:
    """Run the demo; return 1 if the video cannot be read."""
    parser = argparse.ArgumentParser(description="Count objects in a video file.")
    parser.add_argument("video", type=Path, nargs="?", help="video file (default: make one)")
    parser.add_argument("words", nargs="?", default="balls", help="objects to count")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="use every N-th frame")
    parser.add_argument("--agree", type=int, default=3, metavar="N", help="accept a count that N consecutive frames agree on")
    parser.add_argument("--model", default="tabletop", help="embedded name, folder of a checkpoint, or Hugging Face id")
    parser.add_argument("--csv", type=Path, default=Path("out/demo/counts.csv"), help="path of the table")
    options = parser.parse_args()
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    try:
        check_writable(options.csv)
        if options.video and options.csv.exists() and options.csv.samefile(options.video):
            raise InputError("--csv must not be the video", str(options.csv), "choose another path")
        path = options.video or make_video(options.csv.parent / "tray.mp4")
        rows = count(path, options)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, ["time_s", "count", "stated", "consistent"])
    table.writeheader()
    table.writerows(rows)
    write_file(options.csv, text.getvalue().encode())
    for time_s, number in changes(rows, options.agree):
        print(f"from {time_s:.1f} s on: {number} {options.words}")
    print(f"wrote {options.csv} ({len(rows)} frames of {path})")
    return 0


def count(path: Path, options: argparse.Namespace) -> list[dict]:
    """Ask the model about every frame that is used."""
    pointer = Pointer.from_pretrained(options.model)
    rows = []
    with VideoFile(path, every=options.every) as video, tqdm(total=len(video), unit="frame", file=sys.stderr) as bar:
        for frame in video:
            answer = pointer.count(frame, options.words)
            time_s = round((frame.stamp_ns - 1) * 1e-9, 3)
            rows.append({"time_s": time_s, "count": answer.count, "stated": answer.stated_count, "consistent": answer.consistent})
            bar.set_postfix(count=answer.count)
            bar.update()
    return rows


def changes(rows: list[dict], agree: int) -> list[tuple[float, int]]:
    """List time and value of every new count that enough consecutive frames agree on."""
    found: list[tuple[float, int]] = []
    for start in range(len(rows) - agree + 1):
        run = {row["count"] for row in rows[start : start + agree]}
        if len(run) == 1 and (not found or found[-1][1] not in run):
            found.append((rows[start]["time_s"], run.pop()))
    return found


def make_video(path: Path) -> Path:
    """Make a video of a table from which a ball is taken after two seconds."""
    from molmo_point.sim import TabletopScene
    from molmo_point.sim.tabletop.layout import random_layout
    from molmo_point.viz.video import write_video

    layout = random_layout(np.random.default_rng(SEED), COUNT)
    pictures, things = [], list(layout.objects)
    for _ in range(2):
        with TabletopScene(dataclasses.replace(layout, objects=tuple(things))) as scene:
            pictures += [scene.render_color()] * FPS * SECONDS_EACH
        things.remove(next(thing for thing in things if thing.shape == "ball"))
    return write_video(path, pictures, FPS)


if __name__ == "__main__":
    sys.exit(main())
