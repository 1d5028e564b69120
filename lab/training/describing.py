"""Descriptions of a scene, and answers in a word or a number, all from its truth."""

from collections.abc import Callable

import numpy as np

from lab.training.questions import Vocabulary, color_word
from lab.training.referring import Description, SeenObject, matches, superlative
from lab.training.wordings import MASS_NOUNS, plural
from molmo_point.finetuning.labels.wording import COUNT
from molmo_point.finetuning.sample import AnswerKind, TrainingExample
from molmo_point.points.dialects.prompts import question_prompt

SHORT_STYLE = "vqa2"
"""Style of short answers, as in Molmo's training."""
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ACROSS, _DOWN = ("left", "", "right"), ("top", "", "bottom")
_TOTAL = ("There {be} {n} on the table", "{n} {be} on the table", "The table holds {n}", "I see {n} on a table")
_NOTHING = ("There is nothing on the table.", "The table is empty.", "An empty table.")
_COLOUR = ("What colour is the {q}?", "What color is the {q}?", "Which colour does the {q} have?", "The {q} is what colour?")
_THERE = ("Is there {q}?", "Is there {q} on the table?", "Do you see {q}?", "Can you see {q} in the image?")
_UNPOINTED_SHARE = 0.3


def describe(objects: list[SeenObject], rng: np.random.Generator) -> str:
    """Describe a picture: its objects, their colors, numbers and places.

    Args:
        objects: All objects in it. Hardly visible ones are not named, and then no total is given.
        rng: Chooses among wordings.
    """
    seen = [item for item in objects if item.seen]
    clear = [item for item in seen if item.usable]
    if not clear:
        return str(rng.choice(_NOTHING)) if not seen else "Something on a table, hardly in the picture."
    parts = _listed(clear)
    listing = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if len(clear) == len(seen) and len(clear) > 1 and rng.random() < 0.7:
        n = f"{_number(len(clear))} things"
        text = f"{str(rng.choice(_TOTAL)).format(n=n, be='are')}: {listing}."
    else:
        text = f"{listing}." if rng.random() < 0.5 else f"On the table {'is' if len(clear) == 1 else 'are'} {listing}."
    return _capital(text) + _remark(seen, rng)


def short_answers(
    objects: list[SeenObject], count: int, rng: np.random.Generator, vocabulary: Vocabulary
) -> list[TrainingExample]:
    """Draw up to ``count`` different questions that are answered in a word or a number.

    Args:
        objects: All objects in the picture.
        count: Largest number of questions.
        rng: Source of all randomness.
        vocabulary: Words that may be asked for.
    """
    usable = [item for item in objects if item.usable and item.seen]
    kinds: tuple[Callable[..., TrainingExample | None], ...] = (_how_many, _which_color, _is_there, _is_there_not)
    found: dict[str, TrainingExample] = {}
    for _ in range(6 * count):
        if len(found) == count:
            break
        kind = kinds[int(rng.integers(len(kinds)))]
        example = kind(objects, usable, rng, vocabulary)
        if example is not None:
            found.setdefault(example.prompt, example)
    return list(found.values())


def _listed(objects: list[SeenObject]) -> list[str]:
    """List equal objects together, from left to right; single ones with their place."""
    groups: dict[tuple[str | None, str], list[SeenObject]] = {}
    for item in sorted(objects, key=lambda t: t.x_percent):
        groups.setdefault((color_word(item), item.noun), []).append(item)
    parts = []
    for (color, noun), group in groups.items():
        if len(group) == 1:
            parts.append(f"{_one(color, noun)} {_where(group[0])}")
        elif noun in MASS_NOUNS:
            parts.append(_one(color, noun))
        else:
            parts.append(f"{_number(len(group))} {_words(color, plural(noun))}")
    return parts


def _one(color: str | None, noun: str) -> str:
    words = _words(color, noun)
    if noun in MASS_NOUNS or plural(noun) == noun:
        return f"some {words}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _words(color: str | None, noun: str) -> str:
    return f"{color} {noun}" if color else noun


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def _where(item: SeenObject) -> str:
    down, across = (names[min(int(v * 3 / 100), 2)] for names, v in ((_DOWN, item.y_percent), (_ACROSS, item.x_percent)))
    if not down and not across:
        return "in the middle"
    return f"at the {down} {across}".rstrip() if down else f"on the {across}"


def _remark(objects: list[SeenObject], rng: np.random.Generator) -> str:
    """Name the largest or the closest object, now and then."""
    word, saying = (("largest", "is the largest"), ("closest", "is closest to the camera"))[int(rng.integers(2))]
    if rng.random() < 0.5 or any(not item.usable for item in objects):
        return ""
    best = superlative(objects, list(range(len(objects))), word)
    if not best:
        return ""
    noun, color = objects[best[0]].noun, color_word(objects[best[0]])
    for wanted in (Description(noun=noun), Description(noun=noun, color=color)):
        if matches(objects, wanted) == best:
            verb = saying.replace("is", "are", 1) if plural(noun) == noun and noun not in MASS_NOUNS else saying
            return f" The {_words(wanted.color, noun)} {verb}."
    return ""


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _how_many(
    objects: list[SeenObject], usable: list[SeenObject], rng: np.random.Generator, words: Vocabulary
) -> TrainingExample | None:
    wanted = _wanted(usable, rng, words)
    hits = matches(objects, wanted)
    if hits is None or wanted.noun is None or wanted.noun in MASS_NOUNS:
        return None
    prompt = str(rng.choice(COUNT)).format(q=_words(wanted.color, plural(wanted.noun)))
    if rng.random() < _UNPOINTED_SHARE:
        return TrainingExample(question_prompt(prompt, pointing=False), str(len(hits)), kind=AnswerKind.TEXT)
    return _short(prompt, str(len(hits)))


def _which_color(
    objects: list[SeenObject], usable: list[SeenObject], rng: np.random.Generator, words: Vocabulary
) -> TrainingExample | None:
    if not usable:
        return None
    item = usable[int(rng.integers(len(usable)))]
    certain = sorted(color for color in item.colors if color in words.colors)
    # If somebody might use another word, someone would mark either answer wrong.
    doubtful = item.maybe_colors - item.colors
    hits = matches(objects, Description(noun=item.noun))
    if hits is None or [objects[k] for k in hits] != [item] or len(certain) != 1 or doubtful or item.noun not in words.nouns:
        return None
    prompt = str(rng.choice(_COLOUR)).format(q=item.noun)
    if plural(item.noun) == item.noun and item.noun not in MASS_NOUNS:
        prompt = f"What colour are the {item.noun}?"
    return _short(prompt, certain[0])


def _is_there(
    objects: list[SeenObject], usable: list[SeenObject], rng: np.random.Generator, words: Vocabulary
) -> TrainingExample | None:
    wanted = _wanted(usable, rng, words)
    return _existence(objects, wanted, rng, present=True)


def _is_there_not(
    objects: list[SeenObject], usable: list[SeenObject], rng: np.random.Generator, words: Vocabulary
) -> TrainingExample | None:
    color = str(rng.choice(words.colors))
    if usable and rng.random() < 0.5:  # an object in view, in another color
        wanted = Description(noun=usable[int(rng.integers(len(usable)))].noun, color=color)
    else:
        wanted = Description(noun=str(rng.choice(words.nouns)), color=color if rng.random() < 0.3 else None)
    return _existence(objects, wanted, rng, present=False)


def _existence(objects: list[SeenObject], wanted: Description, rng: np.random.Generator, present: bool) -> TrainingExample | None:
    hits = matches(objects, wanted)
    if hits is None or wanted.noun is None or bool(hits) != present:
        return None
    words = _one(wanted.color, wanted.noun).replace("some ", "any ", 1)
    prompt = str(rng.choice(_THERE)).format(q=words)
    if plural(wanted.noun) == wanted.noun and wanted.noun not in MASS_NOUNS:
        prompt = prompt.replace("Is there", "Are there", 1)
    return _short(prompt, "yes" if present else "no")


def _wanted(usable: list[SeenObject], rng: np.random.Generator, words: Vocabulary) -> Description:
    """Choose an object of the picture, now and then with its color; any noun for an empty picture."""
    if not usable:
        return Description(noun=str(rng.choice(words.nouns)))
    item = usable[int(rng.integers(len(usable)))]
    noun = item.noun if item.noun in words.nouns else str(rng.choice(words.nouns))
    return Description(noun=noun, color=color_word(item) if rng.random() < 0.3 else None)


def _short(prompt: str, answer: str) -> TrainingExample:
    return TrainingExample(f"{SHORT_STYLE}: {prompt}", answer, kind=AnswerKind.TEXT)
