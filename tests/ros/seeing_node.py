"""The pointing node with a model that finds the square of square_camera.py: `python seeing_node.py --ros-args ...`.

A query ends with the seconds that its answer takes, as in "the square 1.5" or "beside the square 0.1"; any other thing than a
square is not there.
"""

import re
import sys
import time

from molmo_point_ros.nodes.pointing_node import main
from square_camera import see_square

from molmo_point.backend import Backend, Growth
from molmo_point.pointer import Pointer
from molmo_point.results import Completion


class SeeingModel(Backend):
    """A backend for `Pointer` that looks at the image it is given."""

    name = "seeing"
    sigma_px = 1.5

    def answers(self, image, prompts, limits):
        for index, prompt in enumerate(prompts):
            yield from self._answer(index, image, prompt.text)

    def _answer(self, index, image, prompt):
        seconds = re.search(r"([0-9.]+)\D*$", prompt)
        found = see_square(image, "beside" in prompt) if "square" in prompt else None
        text = "There are none."
        if found is not None:
            height, width = image.shape[:2]
            x, y = (found[0] + 0.5) / width * 100, (found[1] + 0.5) / height * 100
            text = f'<point x="{x:.3f}" y="{y:.3f}" alt="square">square</point>'
        end = time.monotonic() + (float(seconds.group(1).rstrip(".")) if seconds else 0.0)
        while time.monotonic() < end:
            yield Growth(index, "", False, lambda: Completion("", 1, "unfinished"))
            time.sleep(0.02)
        yield Growth(index, text, True, lambda: Completion(text, 12, "stop"))


if __name__ == "__main__":
    sys.exit(main(load_pointer=lambda *_, **__: Pointer(SeeingModel())))
