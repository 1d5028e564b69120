"""Counts things in a video file, from Python: no ROS, no depth, a progress bar, and a CSV file.

Without a file a short video of a table is made, from which one thing after the other disappears. You see
the bar, then a line whenever the count changed and stayed so for --agree frames in a row (one frame's
answer alone may be wrong), and the path of the CSV: time, count, what the model stated, consistent or not.

    ros2_ws/run python demos/08_count_in_a_video.py video.mp4 "screws" --every 15
"""

import argparse
import csv
import dataclasses
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from molmo_point import Pointer
from molmo_point.camera.video_file import VideoFile
from molmo_point.errors import MolmoPointError

SEED, COUNT, FPS, SECONDS_EACH = 5, 6, 5, 2


def main() -> int:
    """Runs the demo; 1 if the video cannot be read."""
    parser = argparse.ArgumentParser(description="Count things in a video file.")
    parser.add_argument("video", type=Path, nargs="?", help="the file (default: one is made)")
    parser.add_argument("words", nargs="?", default="balls", help="what to count")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="look at every N-th frame")
    parser.add_argument("--agree", type=int, default=3, metavar="N", help="believe a count that N frames in a row agree on")
    parser.add_argument("--model", default="tabletop", help="embedded name, folder of a checkpoint, or Hugging Face id")
    parser.add_argument("--csv", type=Path, default=Path("out/demo/counts.csv"), help="the table")
    options = parser.parse_args()
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    try:
        path = options.video or make_video(options.csv.parent / "tray.mp4")
        rows = count(path, options)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["time_s", "count", "stated", "consistent"])
        table.writeheader()
        table.writerows(rows)
    for time_s, number in changes(rows, options.agree):
        print(f"from {time_s:.1f} s on: {number} {options.words}")
    print(f"wrote {options.csv} ({len(rows)} frames of {path})")
    return 0


def count(path: Path, options: argparse.Namespace) -> list[dict]:
    """Asks the model about every frame that is looked at."""
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
    """Frame and value of a new count that so many frames in a row agree on."""
    found: list[tuple[float, int]] = []
    for start in range(len(rows) - agree + 1):
        run = {row["count"] for row in rows[start : start + agree]}
        if len(run) == 1 and (not found or found[-1][1] not in run):
            found.append((rows[start]["time_s"], run.pop()))
    return found


def make_video(path: Path) -> Path:
    """A table with three balls, of which one is taken away after two seconds and then another thing."""
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
