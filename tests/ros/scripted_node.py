"""The pointing node with a model that answers from a script: `python scripted_node.py ANSWERS.json --ros-args ...`.

The script maps a query to its text, the seconds it takes, or a failure. Everything but the model is the real node.
"""

import json
import sys
import time
from pathlib import Path

from molmo_point_ros.nodes.pointing_node import main

from molmo_point.pointer import Pointer
from molmo_point.results import Completion


class ScriptedModel:
    """A backend for `Pointer`, slow where the script says so, asking `should_stop` as often as a real one."""

    name = "scripted"
    sigma_px = 8.0

    def __init__(self, answers):
        self._answers = answers

    def generate(self, image, prompt, *, max_new_tokens, should_stop=None, on_text=None):
        answer = next(value for query, value in self._answers.items() if query in prompt)
        if "fail" in answer:
            raise RuntimeError(answer["fail"])
        text = answer["text"]
        end = time.monotonic() + answer.get("seconds", 0.0)
        if on_text is not None:
            on_text(text)
        while True:
            if should_stop is not None and should_stop():
                return Completion(text, 1, "cancelled")
            if time.monotonic() >= end:
                return Completion(text, 12, "stop")
            time.sleep(0.02)


if __name__ == "__main__":
    script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit(main([sys.argv[0], *sys.argv[2:]], load_pointer=lambda *_, **__: Pointer(ScriptedModel(script))))
