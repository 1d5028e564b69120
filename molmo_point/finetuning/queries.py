"""Questions about the objects in view, with the answers Molmo would be trained to give."""

from dataclasses import dataclass, field

import numpy as np

from molmo_point.points.dialects.written import format_points
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

_POINT_ONE = (
    "Point to {q}", "Point to the {q}", "Point at the {q}", "Find the {q}", "Where is the {q}?",
    "Show me the {q}", "Locate the {q}", "the {q}", "{q}", "Point to the {q}.",
)  # fmt: skip
_POINT_MANY = (
    "Point to {q}", "Point to all {q}", "Point to all the {q}", "Find all the {q}",
    "Where are the {q}?", "Show me the {q}", "Locate every one of the {q}", "Point to the {q}",
)  # fmt: skip
_COUNT = (
    "How many {q} are there?", "Count the {q}", "How many {q} do you see?", "count {q}",
    "How many {q} are on the table?", "Count {q}",
)  # fmt: skip
_CLOSE_SHARE = 0.6  # of the things that are not there, those that something in view resembles


@dataclass(frozen=True)
class SeenObject:
    """One object in an (augmented) training image.

    Attributes:
        color: Colour name.
        shape: Shape name.
        x_percent: Centroid of its visible pixels, per cent of the image width.
        y_percent: The same, per cent of the image height.
        usable: False where too little of it is seen to be asked about.
    """

    color: str
    shape: str
    x_percent: float
    y_percent: float
    usable: bool


@dataclass(frozen=True)
class Example:
    """One question about one image.

    Attributes:
        prompt: What the user says.
        answer: The full answer text, without leading space.
        targets: Indices of the objects pointed at, in the order of the answer.
        mentions: Words of the prompt that name something, and the indices of all objects that they fit. The
            words' last place in the prompt counts.
    """

    prompt: str
    answer: str
    targets: tuple[int, ...]
    mentions: tuple[tuple[str, tuple[int, ...]], ...] = field(default=(), kw_only=True)


def plural(noun: str) -> str:
    """Plural of one of our nouns."""
    return f"{noun}s"


def draw_examples(objects: list[SeenObject], count: int, rng: np.random.Generator) -> list[Example]:
    """Draws up to ``count`` different questions about the objects of one image."""
    examples: dict[str, Example] = {}
    for _ in range(4 * count):
        example = _draw(objects, rng)
        if example is not None:
            examples.setdefault(example.prompt, example)
        if len(examples) == count:
            break
    return list(examples.values())


def _draw(objects: list[SeenObject], rng: np.random.Generator) -> Example | None:
    kind = rng.choice(["name", "group", "count", "absent"], p=[0.50, 0.12, 0.20, 0.18])
    usable = [o for o in objects if o.usable and o.color]
    color: str | None
    shape: str | None
    if kind == "absent" or not usable:
        color, shape = str(rng.choice(list(COLORS))), str(rng.choice(SHAPES))
        if usable and rng.random() < _CLOSE_SHARE:
            # What is confused most: the colour is there and the shape is not, or the other way round.
            like = usable[int(rng.integers(len(usable)))]
            color, shape = (like.color, shape) if rng.random() < 0.7 else (color, like.shape)
        counting = bool(rng.random() < 0.2)
    else:
        chosen = usable[int(rng.integers(len(usable)))]
        color, shape = chosen.color, chosen.shape
        counting = kind == "count"
        if kind != "name":
            which = rng.random()
            color = None if which < 0.45 else color
            shape = None if which > 0.75 else shape
    return make_example(objects, color, shape, counting, rng)


def make_example(
    objects: list[SeenObject],
    color: str | None,
    shape: str | None,
    counting: bool,
    rng: np.random.Generator,
) -> Example | None:
    """The question about all objects of a colour and a shape (None = any), and its answer.

    Returns:
        The example, or None where it would turn on an object of which too little is seen.
    """
    hits = [i for i, o in enumerate(objects) if o.color and color in (None, o.color) and shape in (None, o.shape)]
    if any(not objects[i].usable for i in hits):
        return None
    # A person who asks for one thing uses the singular; the answer still names all that fit.
    single = not counting and color is not None and shape is not None and len(hits) <= 1
    single = single or (not counting and len(hits) > 1 and rng.random() < 0.15)
    noun = shape or ("object" if rng.random() < 0.6 else "thing")
    phrase = " ".join(filter(None, [color, noun if single else plural(noun)]))
    templates = _COUNT if counting else (_POINT_ONE if single else _POINT_MANY)
    prompt = str(rng.choice(templates)).format(q=phrase)
    percent = [(objects[i].x_percent, objects[i].y_percent) for i in hits]
    style = "point_count" if counting else "pointing"
    order = sorted(range(len(hits)), key=lambda k: _official_order(percent[k]))
    answer = format_points(percent, phrase, style=style)
    mentions = ((phrase, tuple(hits)),) if hits and not counting else ()
    return Example(prompt, answer, tuple(hits[k] for k in order), mentions=mentions)


def _official_order(point: tuple[float, float]) -> float:
    """Sort key of the official formatter: by x, then y."""
    return point[0] * 10_000 + point[1]
