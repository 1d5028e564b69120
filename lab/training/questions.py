"""Questions about rendered scenes in many wordings, with the answers that Molmo is trained to give.

Every question knows its topic, and is unambiguous by construction: if people could disagree, it is not asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lab.household.colors import PAINTS
from lab.training.referring import SUPERLATIVES, Description, SeenObject, matches, related, superlative
from lab.training.wordings import CATEGORY_WORDS, MASS_NOUNS, RELATIONS, SUPERLATIVE_WORDS, plural
from molmo_point.finetuning.labels.wording import COUNT, MANY, ONE
from molmo_point.finetuning.sample import AnswerKind, TrainingExample
from molmo_point.points.dialects.written import format_points
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

TOPICS: dict[str, float] = {
    "name": 0.18,
    "color_name": 0.24,
    "category": 0.08,
    "relation": 0.14,
    "superlative": 0.08,
    "count": 0.14,
    "absent": 0.14,
}
"""Topics of questions about household scenes, and the share of each. A question about an object that training does not
show has the topic ``"unseen"``, and asks by color and category."""
PLAIN_TOPICS = {"name": 0.10, "color_name": 0.52, "count": 0.20, "absent": 0.18}
"""Topics of questions about plain shapes, and the share of each."""

_TRIES = 5
Mentions = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Vocabulary:
    """Words that questions about a picture may use.

    Attributes:
        nouns: Nouns; objects of other names are asked about only by color, category or relation.
        colors: Color words.
        categories: Categories that may be asked for in vain.
        topics: Topics of questions, and the share of each.
    """

    nouns: tuple[str, ...]
    colors: tuple[str, ...] = tuple(PAINTS)
    categories: tuple[str, ...] = tuple(CATEGORY_WORDS)
    topics: Mapping[str, float] = field(default_factory=lambda: TOPICS)


PLAIN_VOCABULARY = Vocabulary(SHAPES, tuple(COLORS), (), PLAIN_TOPICS)
"""Words for plain shapes."""


@dataclass(frozen=True, kw_only=True)
class Question(TrainingExample):
    """One question about one picture.

    Attributes:
        topic: One of `TOPICS`, or ``"unseen"``.
        phrase: Words for the wanted objects, as in the answer.
        targets: Indices of the objects pointed at, in the order of the answer.
        mentions: Words of the prompt that name objects, each with the indices of all objects that fit. The last place
            of the words in the prompt counts.
    """

    topic: str
    phrase: str
    targets: tuple[int, ...]
    mentions: Mentions = ()


def draw_questions(
    objects: list[SeenObject],
    count: int,
    rng: np.random.Generator,
    vocabulary: Vocabulary,
) -> list[Question]:
    """Draw up to ``count`` different questions about one picture.

    Args:
        objects: All objects in it.
        count: Largest number of questions.
        rng: Source of all randomness.
        vocabulary: Words and topics.
    """
    names, weights = list(vocabulary.topics), np.array(list(vocabulary.topics.values()), float)
    draw = _Drawer(objects, vocabulary, rng)
    questions: dict[str, Question] = {}
    for _ in range(3 * count):
        topic = str(rng.choice(names, p=weights / weights.sum()))
        # Relations and superlatives are often a close call: another try keeps their share up.
        question = next((found for found in (draw.one(topic) for _ in range(_TRIES)) if found is not None), None)
        if question is not None:
            questions.setdefault(question.prompt, question)
        if len(questions) == count:
            break
    return list(questions.values())


class _Drawer:
    """The questions of one picture."""

    def __init__(self, objects: list[SeenObject], vocabulary: Vocabulary, rng: np.random.Generator) -> None:
        self.objects, self.rng = objects, rng
        self.vocabulary = vocabulary
        self._known = frozenset(vocabulary.nouns)
        self.usable = [i for i, item in enumerate(objects) if item.usable and item.seen]

    def one(self, topic: str) -> Question | None:
        """Draw a question of a topic; None if the draw came to nothing."""
        if topic == "absent" or not self.usable:
            return self._absent()
        options = [i for i in self.usable if self.objects[i].held_out] if topic == "unseen" else self.usable
        draw = {
            "name": self._name,
            "color_name": self._color_name,
            "category": self._category,
            "relation": self._relation,
            "superlative": self._superlative,
            "count": self._count,
            "unseen": self._unseen,
        }[topic]
        return draw(self.objects[self._any(options)]) if options else None

    def _any(self, options: list[int]) -> int:
        return options[int(self.rng.integers(len(options)))]

    def _word(self, options: tuple[str, ...]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _noun(self, item: SeenObject) -> str | None:
        words = sorted(item.nouns & self._known)
        if item.noun in words and (self.rng.random() < 0.55 or len(words) == 1):
            return item.noun
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

    def _name(self, item: SeenObject) -> Question | None:
        noun = self._noun(item)
        return None if noun is None else self._all_of(Description(noun=noun), "name")

    def _color_name(self, item: SeenObject) -> Question | None:
        noun, color = self._noun(item), color_word(item)
        if noun is None or color is None:
            return None
        if self.rng.random() < 0.2:
            return self._all_of(Description(color=color), "color_name")
        return self._all_of(Description(noun=noun, color=color), "color_name")

    def _category(self, item: SeenObject) -> Question | None:
        askable = sorted(item.categories & CATEGORY_WORDS.keys())
        if not askable:
            return None
        color = color_word(item) if self.rng.random() < 0.3 else None
        return self._all_of(Description(category=self._word(tuple(askable)), color=color), "category")

    def _unseen(self, item: SeenObject) -> Question | None:
        """Ask by color and category for the only object of its kind, which training never showed."""
        color = color_word(item)
        if color is None or item.category not in CATEGORY_WORDS:
            return None
        wanted = Description(category=item.category, color=color)
        hits = matches(self.objects, wanted)
        return self._all_of(wanted, "unseen") if hits is not None and len(hits) == 1 else None

    def _all_of(self, wanted: Description, topic: str) -> Question | None:
        hits = matches(self.objects, wanted)
        if hits is None:
            return None
        # A person who asks for one object uses the singular; the answer still names all that fit.
        many = len(hits) > 1 if self.rng.random() < 0.85 else len(hits) <= 1
        return self._question(self._phrase(wanted, many), many, hits, topic)

    def _count(self, item: SeenObject) -> Question | None:
        draw = self.rng.random()
        noun, color = self._noun(item), color_word(item)
        if draw < 0.45 and noun is not None:
            wanted = Description(noun=noun)
        elif draw < 0.6 and noun is not None and color is not None:
            wanted = Description(noun=noun, color=color)
        elif draw < 0.75 and color is not None:
            wanted = Description(color=color)
        elif draw < 0.9 and item.category in CATEGORY_WORDS:
            wanted = Description(category=item.category)
        else:
            wanted = Description()
        return self._counted(wanted, "count")

    def _counted(self, wanted: Description, topic: str) -> Question | None:
        hits = matches(self.objects, wanted)
        if hits is None or wanted.noun in MASS_NOUNS:
            return None
        phrase = self._phrase(wanted, many=True, countable=True)
        prompt = self._word(COUNT).format(q=phrase)
        return self._answered(prompt, phrase, hits, topic, True, ((phrase, tuple(hits)),) if hits else ())

    def _relation(self, item: SeenObject) -> Question | None:
        """Ask for objects by their relation to an object with a unique name."""
        anchors = self._anchors()
        relation = self._word(tuple(RELATIONS))
        if len(anchors) < (2 if relation == "between" else 1):
            return None
        order = self.rng.permutation(len(anchors))[: 2 if relation == "between" else 1]
        chosen = [anchors[int(k)] for k in order]
        draw, noun, color = self.rng.random(), self._noun(item), color_word(item)
        wanted = Description()
        if draw < 0.5 and noun is not None:
            wanted = Description(noun=noun, color=color if draw < 0.15 else None)
        elif draw < 0.65 and color is not None:
            wanted = Description(color=color)
        among = matches(self.objects, wanted)
        hits = None if among is None else related(self.objects, among, relation, [index for index, _ in chosen])
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
            noun, color = self._noun(self.objects[index]), color_word(self.objects[index])
            options = [Description(noun=noun)] if noun else []
            options += [Description(noun=noun, color=color)] if noun and color else []
            for wanted in options:
                if matches(self.objects, wanted) == [index]:
                    found.append((index, self._phrase(wanted, many=False)))
                    break
        return found

    def _superlative(self, item: SeenObject) -> Question | None:
        word = self._word(tuple(SUPERLATIVES))
        draw, noun, color = self.rng.random(), self._noun(item), color_word(item)
        wanted = Description()
        if draw < 0.5 and noun is not None:
            wanted = Description(noun=noun)
        elif draw < 0.7 and color is not None:
            wanted = Description(color=color)
        among = matches(self.objects, wanted)
        hits = None if among is None else superlative(self.objects, among, word)
        if hits is None:
            return None
        pattern = SUPERLATIVE_WORDS.get(word, "{w} {q}")
        phrase = pattern.format(w=word, q=self._phrase(wanted, many=False))
        return self._question(phrase, False, hits, "superlative")

    def _absent(self) -> Question | None:
        """Ask for an absent object; often the right noun in another color, or another noun in a color in view."""
        draw = self.rng.random()
        item = self.objects[self._any(self.usable)] if self.usable else None
        noun, color = str(self.rng.choice(self.vocabulary.nouns)), str(self.rng.choice(self.vocabulary.colors))
        if item is not None and draw < 0.35:
            wanted = Description(noun=self._noun(item), color=color)
        elif item is not None and draw < 0.55:
            wanted = Description(noun=noun, color=color_word(item))
        elif draw < 0.65 and self.vocabulary.categories:
            wanted = Description(category=self._word(self.vocabulary.categories))
        else:
            wanted = Description(noun=noun, color=color if draw < 0.75 else None)
        if wanted == Description() or matches(self.objects, wanted) != []:
            return None
        if self.rng.random() < 0.15:
            return self._counted(wanted, "absent")
        many = bool(self.rng.random() < 0.25)
        return self._question(self._phrase(wanted, many), many, [], "absent")

    def _question(self, phrase: str, many: bool, hits: list[int], topic: str, mentions: Mentions = ()) -> Question:
        article = self.rng.random()
        asked = f"the {phrase}" if article < 0.78 else phrase
        if not many and topic in ("name", "color_name", "absent", "category") and article > 0.9:
            asked = f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
        if hits and topic in ("name", "color_name", "category", "unseen"):
            mentions = ((phrase, tuple(hits)),)
        return self._answered(self._word(MANY if many else ONE).format(q=asked), phrase, hits, topic, False, mentions)

    def _answered(self, prompt: str, phrase: str, hits: list[int], topic: str, counted: bool, mentions: Mentions) -> Question:
        percent = [self.objects[i].percent for i in hits]
        order = sorted(range(len(hits)), key=lambda k: percent[k][0] * 10_000 + percent[k][1])
        return Question(
            prompt,
            format_points(percent, phrase, style="point_count" if counted else "pointing"),
            kind=AnswerKind.ABSENT if not hits else AnswerKind.COUNT if counted else AnswerKind.POINTS,
            percent=tuple(percent[k] for k in order),
            topic=topic,
            phrase=phrase,
            targets=tuple(hits[k] for k in order),
            mentions=mentions,
        )


def color_word(item: SeenObject) -> str | None:
    """Return a color word that certainly fits; None if there is none."""
    return next((color for color in sorted(item.colors) if color in PAINTS), None)
