"""What is said of a scene besides points: descriptions, and answers in a word or a number. All from its truth."""

from collections.abc import Callable

import numpy as np

from lab.training.questions import color_word
from lab.training.referring import Description, SeenThing, matches, superlative
from molmo_point.finetuning.queries import Example
from molmo_point.finetuning.wordings import COUNT, MASS_NOUNS, plural
from molmo_point.points.dialects.prompts import question_prompt
from molmo_point.sim.colors import PAINTS

SHORT_STYLE = "vqa2"
"""The style that short answers belong to, as Molmo's set of them."""
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ACROSS, _DOWN = ("left", "", "right"), ("top", "", "bottom")
_TOTAL = ("There {be} {n} on the table", "{n} {be} on the table", "The table holds {n}", "I see {n} on a table")
_NOTHING = ("There is nothing on the table.", "The table is empty.", "An empty table.")
_COLOUR = ("What colour is the {q}?", "What color is the {q}?", "Which colour does the {q} have?", "The {q} is what colour?")
_THERE = ("Is there {q}?", "Is there {q} on the table?", "Do you see {q}?", "Can you see {q} in the image?")
_UNPOINTED_SHARE = 0.3


def describe(things: list[SeenThing], rng: np.random.Generator) -> str:
    """A description of a picture: what stands there, in which colours, how many, and where.

    Args:
        things: All that is in it. Of what is hardly seen nothing is said; no total is given then.
        rng: Chooses among wordings.
    """
    seen = [thing for thing in things if thing.seen]
    clear = [thing for thing in seen if thing.usable]
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


def short_answers(things: list[SeenThing], count: int, rng: np.random.Generator, vocabulary: list[str]) -> list[Example]:
    """Up to ``count`` different questions that are answered in a word or a number.

    Args:
        things: All that is in the picture.
        count: At most so many.
        rng: Source of all randomness.
        vocabulary: Nouns that may be asked for.
    """
    usable = [thing for thing in things if thing.usable and thing.seen]
    kinds: tuple[Callable[..., Example | None], ...] = (_how_many, _which_colour, _is_there, _is_there_not)
    found: dict[str, Example] = {}
    for _ in range(6 * count):
        if len(found) == count:
            break
        kind = kinds[int(rng.integers(len(kinds)))]
        example = kind(things, usable, rng, vocabulary)
        if example is not None:
            found.setdefault(example.prompt, example)
    return list(found.values())


def _listed(things: list[SeenThing]) -> list[str]:
    """Like things together, from left to right; single ones with where they are."""
    groups: dict[tuple[str | None, str], list[SeenThing]] = {}
    for thing in sorted(things, key=lambda t: t.x_percent):
        groups.setdefault((color_word(thing), thing.noun), []).append(thing)
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


def _where(thing: SeenThing) -> str:
    down, across = (names[min(int(v * 3 / 100), 2)] for names, v in ((_DOWN, thing.y_percent), (_ACROSS, thing.x_percent)))
    if not down and not across:
        return "in the middle"
    return f"at the {down} {across}".rstrip() if down else f"on the {across}"


def _remark(things: list[SeenThing], rng: np.random.Generator) -> str:
    """Now and then which of them is the largest, or the closest."""
    word, saying = (("largest", "is the largest"), ("closest", "is closest to the camera"))[int(rng.integers(2))]
    if rng.random() < 0.5 or any(not thing.usable for thing in things):
        return ""
    best = superlative(things, list(range(len(things))), word)
    if not best:
        return ""
    noun, color = things[best[0]].noun, color_word(things[best[0]])
    for wanted in (Description(noun=noun), Description(noun=noun, color=color)):
        if matches(things, wanted) == best:
            verb = saying.replace("is", "are", 1) if plural(noun) == noun and noun not in MASS_NOUNS else saying
            return f" The {_words(wanted.color, noun)} {verb}."
    return ""


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _how_many(things: list[SeenThing], usable: list[SeenThing], rng: np.random.Generator, nouns: list[str]) -> Example | None:
    wanted = _wanted(usable, rng, nouns)
    hits = matches(things, wanted)
    if hits is None or wanted.noun is None or wanted.noun in MASS_NOUNS:
        return None
    prompt = str(rng.choice(COUNT)).format(q=_words(wanted.color, plural(wanted.noun)))
    if rng.random() < _UNPOINTED_SHARE:
        return Example(question_prompt(prompt, pointing=False), str(len(hits)), ())
    return _short(prompt, str(len(hits)))


def _which_colour(things: list[SeenThing], usable: list[SeenThing], rng: np.random.Generator, nouns: list[str]) -> Example | None:
    if not usable:
        return None
    thing = usable[int(rng.integers(len(usable)))]
    certain = sorted(color for color in thing.colors if color in PAINTS)
    # Where somebody might use another word, either answer would be marked wrong by someone.
    doubtful = thing.maybe_colors - thing.colors
    hits = matches(things, Description(noun=thing.noun))
    if hits is None or [things[k] for k in hits] != [thing] or len(certain) != 1 or doubtful or thing.noun not in nouns:
        return None
    prompt = str(rng.choice(_COLOUR)).format(q=thing.noun)
    if plural(thing.noun) == thing.noun and thing.noun not in MASS_NOUNS:
        prompt = f"What colour are the {thing.noun}?"
    return _short(prompt, certain[0])


def _is_there(things: list[SeenThing], usable: list[SeenThing], rng: np.random.Generator, nouns: list[str]) -> Example | None:
    wanted = _wanted(usable, rng, nouns)
    return _existence(things, wanted, rng, present=True)


def _is_there_not(things: list[SeenThing], usable: list[SeenThing], rng: np.random.Generator, nouns: list[str]) -> Example | None:
    color = str(rng.choice(list(PAINTS)))
    if usable and rng.random() < 0.5:  # what is there, in another colour
        wanted = Description(noun=usable[int(rng.integers(len(usable)))].noun, color=color)
    else:
        wanted = Description(noun=str(rng.choice(nouns)), color=color if rng.random() < 0.3 else None)
    return _existence(things, wanted, rng, present=False)


def _existence(things: list[SeenThing], wanted: Description, rng: np.random.Generator, present: bool) -> Example | None:
    hits = matches(things, wanted)
    if hits is None or wanted.noun is None or bool(hits) != present:
        return None
    words = _one(wanted.color, wanted.noun).replace("some ", "any ", 1)
    prompt = str(rng.choice(_THERE)).format(q=words)
    if plural(wanted.noun) == wanted.noun and wanted.noun not in MASS_NOUNS:
        prompt = prompt.replace("Is there", "Are there", 1)
    return _short(prompt, "yes" if present else "no")


def _wanted(usable: list[SeenThing], rng: np.random.Generator, nouns: list[str]) -> Description:
    """Something of the picture, now and then with its colour; or anything where there is nothing."""
    if not usable:
        return Description(noun=str(rng.choice(nouns)))
    thing = usable[int(rng.integers(len(usable)))]
    noun = thing.noun if thing.noun in nouns else str(rng.choice(nouns))
    return Description(noun=noun, color=color_word(thing) if rng.random() < 0.3 else None)


def _short(prompt: str, answer: str) -> Example:
    return Example(f"{SHORT_STYLE}: {prompt}", answer, ())
