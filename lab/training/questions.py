"""Questions about household scenes in many wordings, with the answers Molmo would be trained to give.

Every question knows its kind, and is unambiguous by construction: where people could disagree none is asked.
"""

from dataclasses import dataclass

import numpy as np

from lab.training.referring import SUPERLATIVES, Description, SeenThing, matches, related, superlative
from molmo_point.finetuning.queries import Example
from molmo_point.finetuning.wordings import CATEGORY_WORDS, COUNT, MANY, MASS_NOUNS, ONE, RELATIONS, SUPERLATIVE_WORDS, plural
from molmo_point.points.dialects.written import format_points
from molmo_point.sim.colors import PAINTS

KINDS: dict[str, float] = {
    "name": 0.18,
    "colour_name": 0.24,
    "category": 0.08,
    "relation": 0.14,
    "superlative": 0.08,
    "count": 0.14,
    "absent": 0.14,
}
"""Kinds of question and how often each is drawn. A question about an object that training does not show is of the
kind ``"unseen"``, and asks by colour and category."""

_TRIES = 5
Mentions = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Question(Example):
    """One question about one picture.

    Attributes:
        kind: One of `KINDS`, or ``"unseen"``.
        phrase: What is asked for, as it stands in the answer.
    """

    kind: str
    phrase: str


def draw_questions(
    things: list[SeenThing],
    count: int,
    rng: np.random.Generator,
    vocabulary: list[str],
    kinds: dict[str, float] | None = None,
) -> list[Question]:
    """Draws up to ``count`` different questions about one picture.

    Args:
        things: All that is in it.
        count: At most so many.
        rng: Source of all randomness.
        vocabulary: Nouns that may be asked for; with things of other names only by colour, category or relation.
        kinds: How often each kind is drawn; None takes `KINDS`. ``"unseen"`` may be among them.
    """
    shares = kinds or KINDS
    names, weights = list(shares), np.array(list(shares.values()), float)
    draw = _Drawer(things, vocabulary, rng)
    questions: dict[str, Question] = {}
    for _ in range(3 * count):
        kind = str(rng.choice(names, p=weights / weights.sum()))
        # Relations and superlatives are often a close call: another try keeps their share up.
        question = next((found for found in (draw.one(kind) for _ in range(_TRIES)) if found is not None), None)
        if question is not None:
            questions.setdefault(question.prompt, question)
        if len(questions) == count:
            break
    return list(questions.values())


class _Drawer:
    """Draws questions of a wanted kind about one picture."""

    def __init__(self, things: list[SeenThing], vocabulary: list[str], rng: np.random.Generator) -> None:
        self.things, self.rng = things, rng
        self.vocabulary = vocabulary
        self._known = frozenset(vocabulary)
        self.usable = [i for i, thing in enumerate(things) if thing.usable and thing.seen]

    def one(self, kind: str) -> Question | None:
        """A question of this kind, or None where the draw came to nothing."""
        if kind == "absent" or not self.usable:
            return self._absent()
        options = [i for i in self.usable if self.things[i].held_out] if kind == "unseen" else self.usable
        return getattr(self, f"_{kind}")(self.things[self._any(options)]) if options else None

    def _any(self, options: list[int]) -> int:
        return options[int(self.rng.integers(len(options)))]

    def _word(self, options: tuple[str, ...]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _noun(self, thing: SeenThing) -> str | None:
        words = sorted(thing.nouns & self._known)
        if thing.noun in words and (self.rng.random() < 0.55 or len(words) == 1):
            return thing.noun
        return self._word(tuple(words)) if words else None

    def _phrase(self, wanted: Description, many: bool, countable: bool = False) -> str:
        if wanted.noun is not None:
            word = plural(wanted.noun) if many else wanted.noun
        elif wanted.category is not None:
            options = CATEGORY_WORDS[wanted.category][many]
            word = options[0] if countable else self._word(options)
        else:
            word = self._word(("objects", "things", "items")) if many else self._word(("object", "thing", "item"))
        return f"{wanted.color} {word}" if wanted.color else word

    def _name(self, thing: SeenThing) -> Question | None:
        noun = self._noun(thing)
        return None if noun is None else self._all_of(Description(noun=noun), "name")

    def _colour_name(self, thing: SeenThing) -> Question | None:
        noun, color = self._noun(thing), color_word(thing)
        if noun is None or color is None:
            return None
        if self.rng.random() < 0.2:
            return self._all_of(Description(color=color), "colour_name")
        return self._all_of(Description(noun=noun, color=color), "colour_name")

    def _category(self, thing: SeenThing) -> Question | None:
        askable = sorted(thing.categories & CATEGORY_WORDS.keys())
        if not askable:
            return None
        color = color_word(thing) if self.rng.random() < 0.3 else None
        return self._all_of(Description(category=self._word(tuple(askable)), color=color), "category")

    def _unseen(self, thing: SeenThing) -> Question | None:
        """By colour and category, about the one thing of its kind, which training never showed."""
        color = color_word(thing)
        if color is None or thing.category not in CATEGORY_WORDS:
            return None
        wanted = Description(category=thing.category, color=color)
        hits = matches(self.things, wanted)
        return self._all_of(wanted, "unseen") if hits is not None and len(hits) == 1 else None

    def _all_of(self, wanted: Description, kind: str) -> Question | None:
        hits = matches(self.things, wanted)
        if hits is None:
            return None
        # A person who asks for one thing uses the singular; the answer still names all that fit.
        many = len(hits) > 1 if self.rng.random() < 0.85 else len(hits) <= 1
        return self._question(self._phrase(wanted, many), many, hits, kind)

    def _count(self, thing: SeenThing) -> Question | None:
        draw = self.rng.random()
        noun, color = self._noun(thing), color_word(thing)
        if draw < 0.45 and noun is not None:
            wanted = Description(noun=noun)
        elif draw < 0.6 and noun is not None and color is not None:
            wanted = Description(noun=noun, color=color)
        elif draw < 0.75 and color is not None:
            wanted = Description(color=color)
        elif draw < 0.9 and thing.category in CATEGORY_WORDS:
            wanted = Description(category=thing.category)
        else:
            wanted = Description()
        return self._counted(wanted, "count")

    def _counted(self, wanted: Description, kind: str) -> Question | None:
        hits = matches(self.things, wanted)
        if hits is None or wanted.noun in MASS_NOUNS:
            return None
        phrase = self._phrase(wanted, many=True, countable=True)
        prompt = self._word(COUNT).format(q=phrase)
        return self._answered(prompt, phrase, hits, kind, "point_count", ((phrase, tuple(hits)),) if hits else ())

    def _relation(self, thing: SeenThing) -> Question | None:
        """Where something stands, seen from something that has but one of its name."""
        anchors = self._anchors()
        relation = self._word(tuple(RELATIONS))
        if len(anchors) < (2 if relation == "between" else 1):
            return None
        order = self.rng.permutation(len(anchors))[: 2 if relation == "between" else 1]
        chosen = [anchors[int(k)] for k in order]
        draw, noun, color = self.rng.random(), self._noun(thing), color_word(thing)
        wanted = Description()
        if draw < 0.5 and noun is not None:
            wanted = Description(noun=noun, color=color if draw < 0.15 else None)
        elif draw < 0.65 and color is not None:
            wanted = Description(color=color)
        among = matches(self.things, wanted)
        hits = None if among is None else related(self.things, among, relation, [index for index, _ in chosen])
        if not hits or len(hits) > 3:
            return None
        many = len(hits) > 1
        words = " and ".join(f"the {phrase}" for _, phrase in chosen)
        phrase = f"{self._phrase(wanted, many)} {self._word(RELATIONS[relation])} {words}"
        mentions = tuple((words, (index,)) for index, words in chosen)
        return self._question(phrase, many, hits, "relation", mentions)

    def _anchors(self) -> list[tuple[int, str]]:
        found = []
        for index in self.usable:
            noun, color = self._noun(self.things[index]), color_word(self.things[index])
            options = [Description(noun=noun)] if noun else []
            options += [Description(noun=noun, color=color)] if noun and color else []
            for wanted in options:
                if matches(self.things, wanted) == [index]:
                    found.append((index, self._phrase(wanted, many=False)))
                    break
        return found

    def _superlative(self, thing: SeenThing) -> Question | None:
        word = self._word(tuple(SUPERLATIVES))
        draw, noun, color = self.rng.random(), self._noun(thing), color_word(thing)
        wanted = Description()
        if draw < 0.5 and noun is not None:
            wanted = Description(noun=noun)
        elif draw < 0.7 and color is not None:
            wanted = Description(color=color)
        among = matches(self.things, wanted)
        hits = None if among is None else superlative(self.things, among, word)
        if hits is None:
            return None
        pattern = SUPERLATIVE_WORDS.get(word, "{w} {q}")
        phrase = pattern.format(w=word, q=self._phrase(wanted, many=False))
        return self._question(phrase, False, hits, "superlative")

    def _absent(self) -> Question | None:
        """Something that is not there; often the right noun in another colour, or another noun in a colour seen."""
        draw = self.rng.random()
        thing = self.things[self._any(self.usable)] if self.usable else None
        noun, color = str(self.rng.choice(self.vocabulary)), str(self.rng.choice(list(PAINTS)))
        if thing is not None and draw < 0.35:
            wanted = Description(noun=self._noun(thing), color=color)
        elif thing is not None and draw < 0.55:
            wanted = Description(noun=noun, color=color_word(thing))
        elif draw < 0.65:
            wanted = Description(category=self._word(tuple(CATEGORY_WORDS)))
        else:
            wanted = Description(noun=noun, color=color if draw < 0.75 else None)
        if wanted == Description() or matches(self.things, wanted) != []:
            return None
        if self.rng.random() < 0.15:
            return self._counted(wanted, "absent")
        many = bool(self.rng.random() < 0.25)
        return self._question(self._phrase(wanted, many), many, [], "absent")

    def _question(self, phrase: str, many: bool, hits: list[int], kind: str, mentions: Mentions = ()) -> Question:
        article = self.rng.random()
        asked = f"the {phrase}" if article < 0.78 else phrase
        if not many and kind in ("name", "colour_name", "absent", "category") and article > 0.9:
            asked = f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
        if hits and kind in ("name", "colour_name", "category", "unseen"):
            mentions = ((phrase, tuple(hits)),)
        return self._answered(self._word(MANY if many else ONE).format(q=asked), phrase, hits, kind, "pointing", mentions)

    def _answered(self, prompt: str, phrase: str, hits: list[int], kind: str, style: str, mentions: Mentions) -> Question:
        percent = [self.things[i].percent for i in hits]
        order = sorted(range(len(hits)), key=lambda k: percent[k][0] * 10_000 + percent[k][1])
        answer = format_points(percent, phrase, style=style)
        return Question(prompt, answer, tuple(hits[k] for k in order), kind, phrase, mentions=mentions)


def color_word(thing: SeenThing) -> str | None:
    """A colour word that certainly fits, or None."""
    return next((color for color in sorted(thing.colors) if color in PAINTS), None)
