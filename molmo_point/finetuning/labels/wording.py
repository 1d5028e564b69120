"""Annotations as what a user says and what Molmo is to answer, in its styles."""

import re
from dataclasses import dataclass, field

import numpy as np

from molmo_point.finetuning.labels.formats import PLACEHOLDER, Annotation, Answered, Caption, Explanation, Points
from molmo_point.finetuning.queries import Example
from molmo_point.finetuning.wordings import CAPTION, COUNT, MANY, ONE
from molmo_point.points.dialects.prompts import caption_prompt, question_prompt
from molmo_point.points.dialects.written import format_points, points_tag

_UNPREFIXED = ("point_count", "pointing", "user_qa", "long_caption")
_PREFIXED_SHARE = 0.1
_HINTED_SHARE, _CHARACTERS_A_STEP, _HINT_SIGMA = 0.9, 15, 25.0


@dataclass(frozen=True)
class LabelledExample(Example):
    """One question about one image, with what is known of the answer.

    Attributes:
        kind: ``"points"``, ``"count"``, ``"absent"``, ``"caption"``, ``"explanation"`` or ``"answer"``.
        percent: Points of the answer (x, y), per cent; None where the answer is not about points.
    """

    kind: str = field(kw_only=True)
    percent: tuple[tuple[float, float], ...] | None = field(default=None, kw_only=True)


def example_of(annotation: Annotation, rng: np.random.Generator) -> LabelledExample:
    """The annotation as one question of the stage that points; a caption as a request in words."""
    if isinstance(annotation, Points):
        return _points_example(annotation, rng)
    if isinstance(annotation, Caption):
        prompt = styled(str(rng.choice(CAPTION)), "long_caption", rng)
        return LabelledExample(prompt, annotation.text, (), kind="caption")
    if isinstance(annotation, Explanation):
        return _explanation_example(annotation, rng)
    assert isinstance(annotation, Answered)
    prompt = styled(question_prompt(annotation.question), annotation.style, rng)
    return LabelledExample(prompt, annotation.answer, (), kind="answer")


def caption_examples(caption: Caption, rng: np.random.Generator) -> list[LabelledExample]:
    """The branches of the stage of captions: the caption, and one transcript where there is any."""
    texts = [("long_caption", caption.text)]
    if caption.transcripts:
        texts.append(("transcript", caption.transcripts[int(rng.integers(len(caption.transcripts)))]))
    return [LabelledExample(hinted(style, text, rng), text, (), kind="caption") for style, text in texts]


def hinted(style: str, text: str, rng: np.random.Generator) -> str:
    """The prompt of the caption stage: style, and mostly a hint how long the text is."""
    if rng.random() >= _HINTED_SHARE:
        return f"{style} :"
    steps = (len(text) + int(rng.normal(0, _HINT_SIGMA))) // _CHARACTERS_A_STEP
    return caption_prompt(max(steps, 1), style)


def styled(prompt: str, style: str, rng: np.random.Generator) -> str:
    """The prompt behind the name of its style, as often as Molmo was trained with it."""
    if style in _UNPREFIXED and rng.random() >= _PREFIXED_SHARE:
        return prompt
    return f"{style}: {prompt}"


def _points_example(points: Points, rng: np.random.Generator) -> LabelledExample:
    if points.percent is None:
        prompt = question_prompt(str(rng.choice(COUNT)).format(q=points.label), pointing=False)
        return LabelledExample(prompt, str(points.count), (), kind="answer")
    style = "pointing" if rng.random() < 0.5 else "point_count"
    wordings = COUNT if style == "point_count" else ONE if points.count == 1 else MANY
    prompt = styled(str(rng.choice(wordings)).format(q=points.label), style, rng)
    kind = "absent" if not points.count else "count" if style == "point_count" else "points"
    pairs = tuple((float(x), float(y)) for x, y in points.percent)
    return LabelledExample(prompt, format_points(pairs, points.label, style), (), kind=kind, percent=pairs)


def _explanation_example(explanation: Explanation, rng: np.random.Generator) -> LabelledExample:
    tags = iter(points_tag(percent.tolist(), inline, alt) for inline, alt, percent in explanation.tags)
    answer = re.sub(re.escape(PLACEHOLDER), lambda _: next(tags), explanation.response)
    pairs = tuple((float(x), float(y)) for _, _, percent in explanation.tags for x, y in percent)
    prompt = styled(question_prompt(explanation.question), "point_qa", rng)
    return LabelledExample(prompt, answer, (), kind="explanation", percent=pairs)
