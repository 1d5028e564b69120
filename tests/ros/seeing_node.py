"""The pointing node with a model that finds the square of square_camera.py: `python seeing_node.py --ros-args ...`.

A query ends with the seconds that its answer takes, as in "the square 1.5" or "beside the square 0.1"; any other thing than a
square is not there.
"""

import re
import sys
import time

from molmo_point_ros.nodes.pointing_node import main
from square_camera import see_square

from molmo_point.pointer import Pointer
from molmo_point.results import Completion


class SeeingModel:
    """A backend for `Pointer` that looks at the image it is given."""

    name = "seeing"
    sigma_px = 1.5

    def generate(self, image, prompt, *, max_new_tokens, should_stop=None, on_text=None):
        seconds = re.search(r"([0-9.]+)\D*$", prompt)
        found = see_square(image, "beside" in prompt) if "square" in prompt else None
        text = "There are none."
        if found is not None:
            height, width = image.shape[:2]
            x, y = (found[0] + 0.5) / width * 100, (found[1] + 0.5) / height * 100
            text = f'<point x="{x:.3f}" y="{y:.3f}" alt="square">square</point>'
        end = time.monotonic() + (float(seconds.group(1).rstrip(".")) if seconds else 0.0)
        while True:
            if should_stop is not None and should_stop():
                return Completion(text, 1, "cancelled")
            if time.monotonic() >= end:
                break
            time.sleep(0.02)
        if on_text is not None:
            on_text(text)
        return Completion(text, 12, "stop")


if __name__ == "__main__":
    sys.exit(main(load_pointer=lambda *_, **__: Pointer(SeeingModel())))
