"""Description of the words of a training, made from its own questions; a checkpoint ships it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from lab.household.scene_set import household_assets
from lab.household.truth import thing_words
from lab.training.questions import PLAIN_VOCABULARY, Question, Vocabulary, draw_questions
from lab.training.referring import SUPERLATIVES, SeenObject
from lab.training.shards import plain_object
from lab.training.wordings import CATEGORY_WORDS, RELATIONS, SUPERLATIVE_WORDS, plural
from molmo_point.query_words import named_objects
from molmo_point.trust.trained_words import TrainedWords

_SCENES, _QUESTIONS, _MOST_OBJECTS = 20_000, 5, 8
_GENERAL = {"objects": "object", "things": "thing", "items": "item"}
_Groups = dict[str, tuple[str, ...]]
_STARTS = ("one", "one single", "a single", "single", "one of the", "exactly one", "the one")
_LINKS = (
    "",
    "that is ",
    "that are ",
    "that's ",
    "which is ",
    "which are ",
    "lying ",
    "sitting ",
    "standing ",
    "placed ",
    "resting ",
)
_ENDS = (
    *(f"{link}{place} the table" for link in _LINKS for place in ("on", "on top of", "here on", "there on")),
    *(f"{link}on {this} table" for link in _LINKS for this in ("this", "that", "your", "our", "my", "a")),
    *("only", "again", "of yours", "right there"),
)
"""Phrases that change nothing: a model points at one object of a kind, and every scene is a table."""


def plain_shape_words(scenes: int = _SCENES) -> TrainedWords:
    """Describe the words of questions about plain shapes."""
    vocabulary = PLAIN_VOCABULARY
    groups = {"colors": vocabulary.colors, "shapes": vocabulary.nouns}
    forms = {plural(shape): shape for shape in vocabulary.nouns}
    return _described(groups, {"generic": tuple(_GENERAL.values())}, _GENERAL | forms, _plain_questions(scenes))


def household_words(scenes: int = _SCENES) -> TrainedWords:
    """Describe the words of questions about household scenes."""
    rows = [thing_words(asset) for asset in household_assets(None)]
    vocabulary = Vocabulary(tuple(sorted({noun for row in rows if not row["held_out"] for noun in row["nouns"]})))
    categories = {name: (*one, *many) for name, (one, many) in CATEGORY_WORDS.items()}
    groups = {
        "colors": vocabulary.colors,
        "nouns": vocabulary.nouns,
        "categories": tuple(categories[name][0] for name in vocabulary.categories),
    }
    placed = {SUPERLATIVE_WORDS[word].format(q="").strip() for word in SUPERLATIVE_WORDS}
    connecting = {
        "generic": tuple(_GENERAL.values()),
        "superlatives": tuple(word for word in SUPERLATIVES if word not in SUPERLATIVE_WORDS),
        "places": tuple(sorted(placed)),
        "relations": tuple(RELATIONS),
        "joints": ("and",),
    }
    forms = _GENERAL | {plural(noun): noun for noun in vocabulary.nouns if plural(noun) != noun}
    forms |= {word: words[0] for words in categories.values() for word in words[1:]}
    links = {word: name for name, words in RELATIONS.items() for word in words} | {"and": "and"}
    forms |= {f"{word}{article}": name for word, name in links.items() for article in ("", " the", " a", " an")}
    forms = {form: word for form, word in forms.items() if form != word}
    return _described(groups, connecting, forms, _household_questions(rows, vocabulary, scenes))


def with_other_words(words: TrainedWords, dictionary: Iterable[str]) -> TrainedWords:
    """Add the words of a dictionary that would be taken for misspellings of words of the training; names are left out."""
    common = {word for word in dictionary if word.isalpha() and word.islower()}
    return replace(words, other_words=tuple(sorted(word for word in common if words.correction(word) not in (None, word))))


def _described(groups: _Groups, connecting: _Groups, forms: dict[str, str], questions: Iterable[Question]) -> TrainedWords:
    """Add the patterns of the questions that can be read in one way."""
    names: dict[str, list[str]] = {}
    for name, words in (*groups.items(), *connecting.items()):
        for word in words:
            names.setdefault(word, []).append(name)
    for form, word in forms.items():
        names[form] = [*names.get(form, ()), *names[word]]
    patterns = set()
    for question in questions:
        found = _readings(named_objects(question.prompt).lower().split(), names)
        patterns |= found if len(found) == 1 else set()
    # Two anchors of a relation, each with a color or without, are too rare to occur in every combination.
    heads = {pattern.partition(" relations ")[0] for pattern in patterns if " joints " in pattern}
    anchors = [f"{one} joints {other}" for one in ("nouns", "colors nouns") for other in ("nouns", "colors nouns")]
    patterns |= {f"{head} relations {pair}" for head in heads for pair in anchors}
    return TrainedWords(groups, connecting, forms, tuple(sorted(patterns)), (), _STARTS, tuple(sorted(_ENDS)))


def _readings(tokens: list[str], names: dict[str, list[str]]) -> set[str]:
    """Return all sequences of groups that the tokens can be read as."""
    if not tokens:
        return {""}
    found = set()
    for end in range(1, len(tokens) + 1):
        for name in names.get(" ".join(tokens[:end]), ()):
            found |= {f"{name} {rest}".strip() for rest in _readings(tokens[end:], names)}
    return found


def _plain_questions(scenes: int) -> Iterable[Question]:
    rng, vocabulary = np.random.default_rng(0), PLAIN_VOCABULARY
    for _ in range(scenes):
        count = int(rng.integers(0, _MOST_OBJECTS))
        words = [(str(rng.choice(vocabulary.colors)), str(rng.choice(vocabulary.nouns))) for _ in range(count)]
        yield from draw_questions([plain_object(*pair, *rng.uniform(0, 100, 2)) for pair in words], _QUESTIONS, rng, vocabulary)


def _household_questions(rows: list[dict[str, Any]], vocabulary: Vocabulary, scenes: int) -> Iterable[Question]:
    rng = np.random.default_rng(0)
    for _ in range(scenes):
        chosen = rng.choice(len(rows), int(rng.integers(0, _MOST_OBJECTS)), replace=False)
        objects = [_seen(rows[int(k)], str(rng.choice(vocabulary.colors)), rng) for k in chosen]
        yield from draw_questions(objects, _QUESTIONS, rng, vocabulary)


def _seen(row: dict[str, Any], color: str, rng: np.random.Generator) -> SeenObject:
    """Place an object at random, without a picture of it."""
    x, y, depth_m, edge_m, *position_m = rng.uniform(0.05, 0.95, 7).tolist()
    return SeenObject(
        noun=row["noun"],
        nouns=frozenset(row["nouns"]),
        doubtful=frozenset(row["doubtful"]),
        category=row["category"],
        categories=frozenset({row["category"]}),
        colors=frozenset({color}),
        maybe_colors=frozenset({color}),
        x_percent=100 * x,
        y_percent=100 * y,
        left_percent=100 * x - 1,
        right_percent=100 * x + 1,
        depth_m=depth_m,
        position_m=(position_m[0], position_m[1], 0.0),
        size_m=(0.1, 0.1, float(rng.uniform(0.02, 0.3))),
        edge_m=edge_m,
        held_out=row["held_out"],
    )
