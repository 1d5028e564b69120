"""Point at an object with a RealSense: the shortest useful program for a robot.

The demo prints the cautions of the answer, the pixel of each point, its position in the camera frame in
meters with the standard deviation, and the path of a picture. Without a camera it prints one line with the remedy.

    ros2_ws/run python demos/07_realsense.py "the red mug" --model path/to/Molmo-7B-D-0924
"""

import argparse
import sys
from pathlib import Path

from molmo_point import Pointer, RealSense, fuse_frames
from molmo_point.errors import MolmoPointError
from molmo_point.viz.overlay import draw_pointing, save_png


def main() -> int:
    """Run the demo; return 1 without a camera, 3 if the object is not in view."""
    parser = argparse.ArgumentParser(description="Point at objects with a RealSense.")
    parser.add_argument("words", nargs="*", help="object to point at (default: red cube)")
    parser.add_argument("--model", default="tabletop", help="embedded name, folder of a checkpoint, or Hugging Face id")
    parser.add_argument("--serial", help="serial number of the camera (default: the only one)")
    parser.add_argument("--still", type=int, default=1, metavar="N", help="take the median depth of N frames")
    parser.add_argument("--out", type=Path, default=Path("out/demo/realsense.png"), help="path of the picture")
    options = parser.parse_args()
    words = " ".join(options.words) or "red cube"
    try:
        # Open the camera first: without one there is no need to load a model.
        with RealSense(options.serial) as camera:
            frames = [camera.read() for _ in range(max(options.still, 1))]
        frame = fuse_frames(frames) if len(frames) > 1 else frames[0]
        pointing = Pointer.from_pretrained(options.model).point(frame, words)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        save_png(options.out, draw_pointing(frame.color, pointing))
    except MolmoPointError as error:
        print(error, file=sys.stderr)
        return 1
    for caution in pointing.cautions:
        print(f"caution {caution}")
    for target in pointing.targets:
        x, y, z = target.position_m
        print(
            f"{target.label}: pixel {target.u:.0f} {target.v:.0f}, {x:+.3f} {y:+.3f} {z:+.3f} m ± {target.sigma_m * 1e3:.0f} mm"
        )
    for lost in pointing.unreachable:
        print(f"{lost.label}: pixel {lost.u:.0f} {lost.v:.0f}, no position: {lost.message}")
    print(f"wrote {options.out}")
    if not pointing.points:
        denied = f"not in view: {words}" if pointing.trusted else f"the model sees none: {words}"
        print(denied if pointing.absent else f"no point in the answer: {pointing.text!r}")
    return 0 if pointing.points else 3


if __name__ == "__main__":
    sys.exit(main())
