"""Count objects in a video file from Python, without ROS and depth, and write a CSV file.

Without a file the demo makes a short video of a table from which objects disappear. It shows a progress
bar, then a line for every change of the count on which --agree consecutive frames agree, with the median
confidence of these frames, and a line for each caution. The columns of the CSV are time, count, stated
count, confidence (empty if it is unknown), and kinds of the cautions.

    ros2_ws/run python demos/08_count_in_a_video.py video.mp4 "screws" --every 15
"""

import argparse
import collections
import csv
import dataclasses
import io
import math
import statistics
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from molmo_point import Pointer
from molmo_point.camera.video_file import VideoFile
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.files import check_writable, write_file
from molmo_point.viz.text import percent

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
        rows, cautions = count(path, options)
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, ["time_s", "count", "stated", "confidence", "cautions"])
    table.writeheader()
    table.writerows(rows)
    write_file(options.csv, text.getvalue().encode())
    for time_s, number, confidence in changes(rows, options.agree):
        sure = "confidence unknown" if confidence is None else f"{percent(confidence)} sure"
        print(f"from {time_s:.1f} s on: {number} {options.words} ({sure})")
    for caution, frames in cautions.items():
        print(f"caution in {frames} of {len(rows)} frames: {caution}")
    print(f"wrote {options.csv} ({len(rows)} frames of {path})")
    return 0


def count(path: Path, options: argparse.Namespace) -> tuple[list[dict], collections.Counter]:
    """Ask the model about every frame that is used; return the rows, and the number of frames of each caution."""
    pointer = Pointer.from_pretrained(options.model)
    rows, cautions = [], collections.Counter()
    with VideoFile(path, every=options.every) as video, tqdm(total=len(video), unit="frame", file=sys.stderr) as bar:
        for frame in video:
            answer = pointer.count(frame, options.words)
            rows.append(
                {
                    "time_s": round((frame.stamp_ns - 1) * 1e-9, 3),
                    "count": answer.count,
                    "stated": answer.stated_count,
                    "confidence": None if math.isnan(answer.confidence) else round(answer.confidence, 3),
                    "cautions": " ".join(caution.kind.value for caution in answer.cautions),
                }
            )
            cautions.update(map(str, answer.cautions))
            bar.set_postfix(count=answer.count)
            bar.update()
    return rows, cautions


def changes(rows: list[dict], agree: int) -> list[tuple[float, int, float | None]]:
    """List time, value and median confidence of every new count that enough consecutive frames agree on."""
    found: list[tuple[float, int, float | None]] = []
    for start in range(len(rows) - agree + 1):
        run = rows[start : start + agree]
        counts = {row["count"] for row in run}
        if len(counts) == 1 and (not found or found[-1][1] not in counts):
            stated = [row["confidence"] for row in run]
            found.append((run[0]["time_s"], counts.pop(), None if None in stated else statistics.median(stated)))
    return found


def make_video(path: Path) -> Path:
    """Make a video of a table from which a ball is taken after two seconds; print the true counts."""
    from molmo_point.sim import TabletopScene
    from molmo_point.sim.tabletop.layout import random_layout
    from molmo_point.viz.video import write_video

    layout = random_layout(np.random.default_rng(SEED), COUNT)
    pictures, things = [], list(layout.objects)
    balls = sum(thing.shape == "ball" for thing in things)
    print(f"in the video are {balls} balls, and {balls - 1} from {SECONDS_EACH:.1f} s on")
    for _ in range(2):
        with TabletopScene(dataclasses.replace(layout, objects=tuple(things))) as scene:
            pictures += [scene.render_color()] * FPS * SECONDS_EACH
        things.remove(next(thing for thing in things if thing.shape == "ball"))
    return write_video(path, pictures, FPS)


if __name__ == "__main__":
    sys.exit(main())
