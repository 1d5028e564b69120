"""Writes released_pieces.json: what the released tokenizer makes of 60 answers and of every draft for them.

    python tests/golden/record_pieces.py FOLDER_OF_MOLMO_7B_D

The tokenizer first splits a text by a pattern, then each piece becomes ids of its own. The pattern and
the pieces that occur are all that is needed to repeat it, and every text is compared before it counts.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, pre_tokenizers

from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.templates import ExpectedAnswer
from molmo_point.points.dialects.prompts import counting_prompt, pointing_prompt, user_turn
from molmo_point.points.dialects.written import format_points

COUNTS = (1, 2, 5, 10, 20, 40)
EACH = 10
LABELS = (
    "red mug", "the dogs", "person's left hand", "traffic lights", "Every blue car", "cup 2", "café chairs",
    "screwdriver with the yellow handle", "windows", "an M6 bolt",
)  # fmt: skip
MOTIONS_PERCENT = (0.0, 0.05, 0.3)
OUT = Path(__file__).with_name("released_pieces.json")


def oracle_answers(seed: int = 0) -> list[dict]:
    """Random answers as a model that echoes the label would write them, and slightly moved ones."""
    rng = np.random.default_rng(seed)
    answers = []
    for count in COUNTS:
        for index in range(EACH):
            style = ("pointing", "counting")[index % 2]
            request = ExpectedAnswer(style, LABELS[index])
            points = rng.uniform(0.5, 99.5, (count, 2))
            points = points[np.argsort(points[:, 0] * 10_000 + points[:, 1])]
            form = "pointing" if style == "pointing" else "point_count"
            moved = [np.clip(points + rng.normal(0, sigma, points.shape), 0, 100) for sigma in MOTIONS_PERCENT]
            answers.append(
                {
                    "style": style,
                    "label": LABELS[index],
                    "count": count,
                    "prompt": user_turn((pointing_prompt if style == "pointing" else counting_prompt)(LABELS[index])),
                    "text": " " + format_points(points, request.labels[0], form),
                    "before": [" " + format_points(m, request.labels[0], form) for m in moved],
                }
            )
    return answers


class Recorder:
    """Encodes with the real tokenizer and keeps the pieces."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        described = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self.pattern = described["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
        self._split = pre_tokenizers.Split(Regex(self.pattern), "isolated")
        self.pieces: dict[str, list[int]] = {}
        self.eos_id = self.tokenizer.token_to_id("<|endoftext|>")

    def encode(self, text: str) -> list[int]:
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        joined: list[int] = []
        for piece, _ in self._split.pre_tokenize_str(text):
            if piece not in self.pieces:
                self.pieces[piece] = self.tokenizer.encode(piece, add_special_tokens=False).ids
            joined += self.pieces[piece]
        if ids != joined:
            raise SystemExit(f"the pieces do not make up the whole: {text!r}")
        return ids

    def token_text(self, token: int) -> str:
        return self.tokenizer.decode([token])


def draft_everywhere(recorder: Recorder, answer: dict) -> None:
    """Asks for the drafts at every token of an answer, so that all their pieces are known."""
    request = ExpectedAnswer(answer["style"], answer["label"])
    ids = answer["ids"]
    for last in ("", *answer["before"]):
        drafter = Drafter(recorder.encode, recorder.token_text, request, last_answer=last)
        text = ""
        for place in range(len(ids) + 1):
            drafter.draft(ids[:place], text)
            if place < len(ids):
                text += recorder.token_text(ids[place])


def main() -> None:
    recorder = Recorder(Path(sys.argv[1]))
    answers = oracle_answers()
    for answer in answers:
        answer["ids"] = recorder.encode(answer["text"])
        answer["prompt_ids"] = recorder.encode(answer["prompt"])
        draft_everywhere(recorder, answer)
    for text in ("0123456789", ".", " There are none.", " This isn't in the image."):
        recorder.encode(text)
    used = sorted({i for ids in recorder.pieces.values() for i in ids} | {recorder.eos_id})
    record = {
        "tokenizer": "Molmo-7B-D-0924",
        "pattern": recorder.pattern,
        "eos_id": recorder.eos_id,
        "pieces": recorder.pieces,
        "vocabulary": {str(i): recorder.token_text(i) for i in used},
        "answers": answers,
    }
    OUT.write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{OUT.name}: {OUT.stat().st_size / 1000:.0f} kB, {len(recorder.pieces)} pieces, {len(answers)} answers")


if __name__ == "__main__":
    main()
