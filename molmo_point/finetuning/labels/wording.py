"""Annotations as questions and answers, in Molmo's styles."""

import re

import numpy as np

from molmo_point.finetuning.labels.formats import PLACEHOLDER, Annotation, Answered, Caption, Explanation, PointLabels
from molmo_point.finetuning.sample import AnswerKind, TrainingExample
from molmo_point.points.dialects.prompts import caption_prompt, question_prompt
from molmo_point.points.dialects.written import format_points, points_tag

ONE = (
    "Point to {q}", "Point to {q}.", "Point at {q}.", "Find {q}.", "Where is {q}?", "Show me {q}", "Locate {q}.",
    "Can you point to {q}?", "Please point out {q}.", "I am looking for {q}.", "Mark {q}.", "Which one is {q}?",
    "pick up {q}", "Where do you see {q}?", "Give me the location of {q}.", "{q}",
)  # fmt: skip
"""Wordings of a question about one object."""
MANY = (
    "Point to {q}", "Point to all {q}", "Point to all {q}.", "Find every one of {q}.", "Where are {q}?", "Show me {q}",
    "Locate all of {q}.", "Can you point to all {q}?", "Mark each of {q}.", "Point out {q}.", "Find {q}", "all {q}", "{q}",
)  # fmt: skip
"""Wordings of a question about several objects."""
COUNT = (
    "How many {q} are there?", "Count the {q}.", "How many {q} do you see?", "How many {q} are on the table?",
    "Count {q}", "count the {q}", "What is the number of {q}?", "How many {q} can you find?", "Number of {q}?",
)  # fmt: skip
"""Wordings of a question for a count."""
CAPTION = (
    "Describe this image.", "Describe the image.", "Describe this image", "What is in this image?", "What does the image show?",
    "Caption this image.", "Tell me what you see.", "What can be seen here?", "Write a caption.", "describe this picture",
)  # fmt: skip
"""Wordings of a request for a description."""
_UNPREFIXED = ("point_count", "pointing", "user_qa", "long_caption")
_PREFIXED_SHARE = 0.1
_HINTED_SHARE, _CHARACTERS_A_STEP, _HINT_SIGMA = 0.9, 15, 25.0


def example_of(annotation: Annotation, rng: np.random.Generator) -> TrainingExample:
    """Word an annotation as one question of the stage that points; a caption as a request in words."""
    if isinstance(annotation, PointLabels):
        return _points_example(annotation, rng)
    if isinstance(annotation, Caption):
        prompt = styled(str(rng.choice(CAPTION)), "long_caption", rng)
        return TrainingExample(prompt, annotation.text, kind=AnswerKind.CAPTION)
    if isinstance(annotation, Explanation):
        return _explanation_example(annotation, rng)
    assert isinstance(annotation, Answered)
    prompt = styled(question_prompt(annotation.question), annotation.style, rng)
    return TrainingExample(prompt, annotation.answer, kind=AnswerKind.TEXT)


def caption_examples(caption: Caption, rng: np.random.Generator) -> list[TrainingExample]:
    """Word a caption for the stage of captions: the caption, and one transcript if there is any."""
    texts = [("long_caption", caption.text)]
    if caption.transcripts:
        texts.append(("transcript", caption.transcripts[int(rng.integers(len(caption.transcripts)))]))
    return [TrainingExample(hinted(style, text, rng), text, kind=AnswerKind.CAPTION) for style, text in texts]


def hinted(style: str, text: str, rng: np.random.Generator) -> str:
    """Return the prompt of the caption stage: style, and mostly a hint of the length of the text."""
    if rng.random() >= _HINTED_SHARE:
        return f"{style} :"
    steps = (len(text) + int(rng.normal(0, _HINT_SIGMA))) // _CHARACTERS_A_STEP
    return caption_prompt(max(steps, 1), style)


def styled(prompt: str, style: str, rng: np.random.Generator) -> str:
    """Put the name of its style before a prompt, as often as Molmo was trained with it."""
    if style in _UNPREFIXED and rng.random() >= _PREFIXED_SHARE:
        return prompt
    return f"{style}: {prompt}"


def _points_example(points: PointLabels, rng: np.random.Generator) -> TrainingExample:
    if points.percent is None:
        prompt = question_prompt(str(rng.choice(COUNT)).format(q=points.label), pointing=False)
        return TrainingExample(prompt, str(points.count), kind=AnswerKind.TEXT)
    style = "pointing" if rng.random() < 0.5 else "point_count"
    wordings = COUNT if style == "point_count" else ONE if points.count == 1 else MANY
    prompt = styled(str(rng.choice(wordings)).format(q=points.label), style, rng)
    kind = AnswerKind.ABSENT if not points.count else AnswerKind.COUNT if style == "point_count" else AnswerKind.POINTS
    pairs = tuple((float(x), float(y)) for x, y in points.percent)
    return TrainingExample(prompt, format_points(pairs, points.label, style), kind=kind, percent=pairs)


def _explanation_example(explanation: Explanation, rng: np.random.Generator) -> TrainingExample:
    tags = iter(points_tag(percent.tolist(), inline, alt) for inline, alt, percent in explanation.tags)
    answer = re.sub(re.escape(PLACEHOLDER), lambda _: next(tags), explanation.response)
    pairs = tuple((float(x), float(y)) for _, _, percent in explanation.tags for x, y in percent)
    prompt = styled(question_prompt(explanation.question), "point_qa", rng)
    return TrainingExample(prompt, answer, kind=AnswerKind.EXPLANATION, percent=pairs)
