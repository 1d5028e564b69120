"""Passes a point, counted: no time is taken, and on every machine they are the same."""

from typing import Any

from benchmarks.decoding.material import COUNTS, MOTIONS_PERCENT, Scripted, scripted_answers
from benchmarks.decoding.protocol import Line, Section
from molmo_point.points.dialects.prompts import user_turn


def pass_counts(processor: Any, counts: tuple[int, ...] = COUNTS) -> Section:
    """Passes after the prefill for answers with many points, by what is drafted.

    Args:
        processor: Whose tokenizer writes the answers.
        counts: Points of each answer.
    """
    answers = scripted_answers(processor.encode_text, counts)
    lines = tuple(line for answer in answers for line in _lines(processor, answer))
    note = (
        "Passes after the prefill for scripted answers, counted, not timed. Ratio: plain by this one. "
        "Motion is the standard deviation of every coordinate since the last answer, in per cent of the image."
    )
    return Section("passes", "Passes of the model", note, lines)


def _lines(processor: Any, answer: Scripted) -> list[Line]:
    from benchmarks.decoding.oracle import NgramDrafter, count_passes
    from benchmarks.decoding.paths import token_texts
    from molmo_point.model.decoding.drafts import Drafter
    from molmo_point.model.decoding.templates import ExpectedAnswer

    text_of = token_texts(processor)
    request = ExpectedAnswer.to(answer.prompt)

    def drafter(last: str = "", fans: bool = False) -> Drafter:
        return Drafter(processor.encode_text, text_of, request, processor.digit_ids, last, fans=fans)

    variants: dict[str, Any] = {
        "plain": None,
        "n-grams": NgramDrafter(processor.encode_text(user_turn(answer.prompt.text))),
        "template": drafter(),
        "template and fans": drafter(fans=True),
    }
    for motion, last in zip(MOTIONS_PERCENT, answer.before, strict=True):
        variants[f"last answer, motion {motion:g} %"] = drafter(last, fans=True)
    lines, plain = [], 0
    for name, each in variants.items():
        at = count_passes(answer.tokens, each, text_of, processor.eos_id)
        total = at[-1]
        plain = plain or total
        first = at[_first_point(processor, answer.tokens) - 1]
        facts = {"passes": total, "passes_per_point": total / answer.count, "first_point": first}
        title = f"{answer.count} point{'s' if answer.count > 1 else ''}, {name}"
        lines.append(Line(title, plain / total if total else float("inf"), facts=facts))
    return lines


def _first_point(processor: Any, tokens: tuple[int, ...]) -> int:
    from benchmarks.decoding.paths import tokens_to_first_point

    return tokens_to_first_point(processor, tokens)
