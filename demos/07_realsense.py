"""A RealSense, words, and where the thing is: the shortest program that is useful on a robot.

You see each answer's pixel, its position in the camera's frame in metres with its standard deviation,
and the path of a picture with the points. Without a camera it says so, and what to do, in one line.

    ros2_ws/run python demos/07_realsense.py "the red mug" --model path/to/Molmo-7B-D-0924
"""

import argparse
import sys
from pathlib import Path

from molmo_point import Pointer, RealSense, fuse_frames
from molmo_point.errors import MolmoPointError
from molmo_point.viz.overlay import draw_pointing, save_png


def main() -> int:
    """Runs the demo; 1 without a camera, 3 if the thing is not in view."""
    parser = argparse.ArgumentParser(description="Point at things with a RealSense.")
    parser.add_argument("words", nargs="*", help="what to point at (default: red cube)")
    parser.add_argument("--model", default="tabletop", help="embedded name, folder of a checkpoint, or Hugging Face id")
    parser.add_argument("--serial", help="serial number of the camera (default: the only one)")
    parser.add_argument("--still", type=int, default=1, metavar="N", help="take the median depth of N frames")
    parser.add_argument("--out", type=Path, default=Path("out/demo/realsense.png"), help="the picture")
    options = parser.parse_args()
    words = " ".join(options.words) or "red cube"
    try:
        # The camera first: without one there is no need to load a model.
        with RealSense(options.serial) as camera:
            frames = [camera.read() for _ in range(max(options.still, 1))]
        frame = fuse_frames(frames) if len(frames) > 1 else frames[0]
        pointing = Pointer.from_pretrained(options.model).point(frame, words)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        save_png(options.out, draw_pointing(frame.color, pointing))
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    for target in pointing.targets:
        x, y, z = target.position_m
        print(
            f"{target.label}: pixel {target.u:.0f} {target.v:.0f}, {x:+.3f} {y:+.3f} {z:+.3f} m ± {target.sigma_m * 1e3:.0f} mm"
        )
    for lost in pointing.unreachable:
        print(f"{lost.label}: pixel {lost.u:.0f} {lost.v:.0f}, no position: {lost.message}")
    print(f"wrote {options.out}")
    if not pointing.points:
        print(f"there is no {words}" if pointing.absent else f"no point in the answer: {pointing.text!r}")
    return 0 if pointing.points else 3


if __name__ == "__main__":
    sys.exit(main())
