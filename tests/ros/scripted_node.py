"""The pointing node with a model that answers from a script: `python scripted_node.py ANSWERS.json --ros-args ...`.

The script maps a query to its text, the seconds it takes, or a failure. Everything but the model is the real node.
"""

import json
import sys
import time
from pathlib import Path

from molmo_point_ros.nodes.pointing_node import main

from molmo_point.backend import Backend, Growth
from molmo_point.pointer import Pointer
from molmo_point.points.dialects import dialect_of
from molmo_point.request import PointRequest
from molmo_point.results import Completion


class ScriptedModel(Backend):
    """A backend for `Pointer`, slow where the script says so, growing as often as a real one."""

    name = "scripted"
    sigma_px = 8.0

    def __init__(self, answers):
        self._answers = {dialect_of("molmo").prompt(PointRequest(query)).words: answer for query, answer in answers.items()}

    def answers(self, image, prompts, limits):
        for index, prompt in enumerate(prompts):
            yield from self._answer(index, prompt.words)

    def _answer(self, index, words):
        answer = self._answers[words]
        if "fail" in answer:
            raise RuntimeError(answer["fail"])
        text = answer["text"]
        end = time.monotonic() + answer.get("seconds", 0.0)
        while time.monotonic() < end:
            yield Growth(index, text, False, lambda: Completion(text, 1, "unfinished"))
            time.sleep(0.02)
        yield Growth(index, text, True, lambda: Completion(text, 12, "stop"))


if __name__ == "__main__":
    script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit(main([sys.argv[0], *sys.argv[2:]], load_pointer=lambda *_, **__: Pointer(ScriptedModel(script))))
