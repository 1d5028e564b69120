"""Questions of the trust evaluation: a picture, words, and the truth about both.

Every generator yields the questions of one scene. They follow from the number of the scene alone.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from molmo_point.evaluation import trust_words as lists
from molmo_point.evaluation.degradations import DEGRADATIONS, STRENGTHS, degraded
from molmo_point.evaluation.labeled_view import MIN_PIXELS, LabeledView, arm_views, table_view, word_pairs
from molmo_point.evaluation.other_tables import CAMERAS, EMPTY_PICTURES, LIGHTS, STYLES, empty_picture, render_table
from molmo_point.evaluation.trust_words import Half
from molmo_point.evaluation.unseen_solids import SOLIDS
from molmo_point.frame import RgbdFrame
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

FIRST_SEED = 980_000
"""First scene that judges; the fits use those from 940000, and 960000 serves for looking."""
_ARM_EVERY = 4
_FAR_PX = 40.0
_PLURAL_SHARE = 0.75


@dataclass(frozen=True, eq=False)
class TrustQuestion:
    """One question with its truth.

    Attributes:
        kind: Kind of the question, e.g. "in domain".
        frame: The picture.
        words: Words for the object.
        right_mask: Pixels (h, w) of the objects that are meant; all False if there is none.
        scene: Number of the scene; the questions of a scene are not independent.
        detail: Kind within the kind, e.g. the name of a degradation.
        plain: Words of the plain wording of the same question; "" without one.
        instances: Number of the object at each pixel (h, w), -1 for none; None if objects are not told apart.
    """

    kind: str
    frame: RgbdFrame
    words: str
    right_mask: NDArray[np.bool_]
    scene: int
    detail: str = ""
    plain: str = ""
    instances: NDArray[np.int16] | None = None

    @property
    def absent(self) -> bool:
        """Return whether nothing in the picture is meant."""
        return not self.right_mask.any()


@dataclass(frozen=True, eq=False)
class _Asking:
    """Makes the questions of one kind about one view."""

    kind: str
    view: LabeledView
    scene: int
    rng: np.random.Generator

    def __post_init__(self) -> None:
        object.__setattr__(self, "_frame", RgbdFrame.of(self.view.color))

    def ask(self, words: str, numbers: Sequence[int] = (), detail: str = "", plain: str = "") -> TrustQuestion:
        """Make a question about the objects of these numbers."""
        frame: RgbdFrame = vars(self)["_frame"]
        mask = self.view.mask(numbers)
        return TrustQuestion(self.kind, frame, words, mask, self.scene, detail, plain, self.view.instances)

    def choose(self, options: Sequence[tuple[str, str, list[int]]], count: int) -> list[tuple[str, str, list[int]]]:
        """Choose different options; names of color and shape are three times as likely as the others."""
        if not options:
            return []
        weight = np.array([3.0 if color and shape else 1.0 for color, shape, _ in options])
        chosen = self.rng.choice(len(options), min(count, len(options)), replace=False, p=weight / weight.sum())
        return [options[int(k)] for k in chosen]

    def phrase(self, color: str, shape: str, many: bool) -> str:
        """Word a description as the training does."""
        noun = shape or str(self.rng.choice(["object", "thing", "item"]))
        words = f"{color} {noun}".strip()
        if many:
            return str(self.rng.choice(["all {q}s", "{q}s", "the {q}s"])).format(q=words)
        pattern = str(self.rng.choice(["{q}", "the {q}", "a {q}"], p=[0.45, 0.45, 0.1]))
        return with_article(pattern.format(q=words))


def with_article(words: str) -> str:
    """Write "an" before a vowel."""
    return re.sub(r"\b([aA]) (?=[aeiouAEIOU])", r"\1n ", words)


def fits(view: LabeledView) -> tuple[list[tuple[str, str, list[int]]], list[tuple[str, str, list[int]]]]:
    """Return the descriptions (color, shape, numbers) that fit some objects, and those that fit none."""
    pairs = [(color, shape, view.fitting(color, shape)) for color, shape in word_pairs()]
    certain = [(color, shape, numbers) for color, shape, numbers in pairs if numbers is not None]
    return [each for each in certain if each[2]], [each for each in certain if not each[2]]


def present_and_absent(asking: _Asking, count: int, detail: str = "", plain: bool = True) -> Iterator[TrustQuestion]:
    """Ask for as many objects that are there as for objects that are not, at most `count` of each.

    Without a `plain` background nothing absent is asked for by its color alone: a stripe may have that color.
    """
    present, absent = fits(asking.view)
    absent = [each for each in absent if plain or each[1]]
    for color, shape, numbers in asking.choose(present, count):
        several = len(numbers) > 1
        # As in the training, a person may use the singular and yet mean any that fits.
        words = asking.phrase(color, shape, several and bool(asking.rng.random() < _PLURAL_SHARE))
        yield asking.ask(words, numbers, detail or ("several" if several else "present"))
    for name, options in _kinds_of_absence(asking, absent, min(count, len(present) or count)):
        for color, shape, _ in options:
            many = bool(asking.rng.random() < 0.2)
            yield asking.ask(asking.phrase(color, shape, many), (), detail or name)


def _kinds_of_absence(
    asking: _Asking, absent: list[tuple[str, str, list[int]]], count: int
) -> list[tuple[str, list[tuple[str, str, list[int]]]]]:
    """Draw descriptions that fit nothing, in turn of another color, of another shape, and of neither."""
    names = [asking.view.objects[k] for k in asking.view.visible]
    colors, shapes = {name.color for name in names}, {name.shape for name in names}
    groups = {
        "other color": [each for each in absent if each[0] and each[1] in shapes],
        "other shape": [each for each in absent if each[1] and each[0] in colors],
        "neither": [each for each in absent if each[0] not in colors and each[1] not in shapes],
    }
    filled = [(name, options) for name, options in groups.items() if options]
    start = int(asking.rng.integers(len(filled))) if filled else 0
    turns = [filled[(start + k) % len(filled)] for k in range(count if filled else 0)]
    return [(name, asking.choose(options, 1)) for name, options in turns]


# --- Known tables -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _table(scene: int) -> LabeledView:
    return table_view(scene)


@lru_cache(maxsize=1)
def _arm(scene: int) -> tuple[LabeledView, LabeledView]:
    return arm_views(scene)


def _asking(kind: str, scene: int, view: LabeledView | None = None, detail: str = "") -> _Asking:
    rng = np.random.default_rng([scene, *f"{kind} {detail}".encode()])
    return _Asking(kind, _table(scene) if view is None else view, scene, rng)


def in_domain(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask as the training does."""
    del half
    yield from present_and_absent(_asking("in domain", scene), 4)


def arm_fixed(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask about the arm's table as its fixed camera sees it, in every fourth scene."""
    del half
    if scene % _ARM_EVERY == 0:
        yield from present_and_absent(_asking("fixed camera of the arm", scene, _arm(scene)[0]), 5)


def arm_wrist(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask about the arm's table as its wrist camera sees it, in every fourth scene."""
    del half
    if scene % _ARM_EVERY == 0:
        yield from present_and_absent(_asking("wrist camera of the arm", scene, _arm(scene)[1]), 5)


# --- Words ------------------------------------------------------------------------------------------------------


def reworded(pattern: str, color: str, shape: str) -> str:
    """Say a pattern about "the red cube" about another object, in the same case."""

    def word(match: re.Match[str]) -> str:
        found = match.group()
        new = color if found.lower() == "red" else shape
        return new.upper() if found.isupper() else new.title() if found.istitle() else new

    return with_article(re.sub(r"\b(red|cube)\b", word, pattern, flags=re.IGNORECASE))


def wordings(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask for one object that is there, and for one that is not, in wordings of the same meaning."""
    asking = _asking("wordings", scene)
    present, absent = fits(asking.view)
    for options, count in ((present, 4), (absent, 2)):
        names = [each for each in options if each[0] and each[1] and len(each[2]) <= 1]
        for color, shape, numbers in asking.choose(names, 1):
            plain = f"the {color} {shape}"
            yield asking.ask(plain, numbers, "plain", plain)
            patterns = half.of(lists.SAME_MEANING)
            for k in asking.rng.choice(len(patterns), count, replace=False):
                name, pattern = patterns[int(k)]
                yield asking.ask(reworded(pattern, color, shape), numbers, name, plain)


def unknown_words(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask for what is on no simulated table, in words that no training on such tables has."""
    asking = _asking("unknown words", scene)
    rng, here = asking.rng, {asking.view.objects[k].color for k in asking.view.visible}
    nouns = rng.choice(half.of(lists.NOUNS), 3, replace=False)
    yield asking.ask(f"the {nouns[0]}", (), "noun")
    yield asking.ask(str(nouns[1]), (), "noun")
    color = str(rng.choice(sorted(here) or list(COLORS)))
    yield asking.ask(f"the {color} {nouns[2]}", (), "color and noun")
    strange = [name for name, close in half.of(list(lists.STRANGE_COLORS.items())) if not here & set(close)]
    shape = str(rng.choice(SHAPES))
    if strange:
        yield asking.ask(f"the {rng.choice(strange)} {shape}", (), "strange color")
    yield asking.ask(f"the {rng.choice(half.of(lists.STRANGE_ADJECTIVES))} {rng.choice(SHAPES)}", (), "adjective")
    yield asking.ask(str(rng.choice(half.of(lists.NONSENSE))), (), "nonsense")
    yield asking.ask(str(rng.choice(half.of(lists.FOREIGN_NOUNS))), (), "foreign noun")


def _unique(asking: _Asking) -> list[tuple[str, str, list[int]]]:
    """Return the descriptions of color and shape that fit exactly one object."""
    return [each for each in fits(asking.view)[0] if each[0] and each[1] and len(each[2]) == 1]


def synonyms(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask in other words of the same meaning: synonyms and other languages."""
    asking = _asking("synonyms", scene)
    rng = asking.rng
    for color, shape, numbers in asking.choose(_unique(asking), 2):
        other_color, other_shape = (
            str(rng.choice(half.of(words[name]) or words[name]))
            for words, name in ((lists.COLOR_SYNONYMS, color), (lists.SHAPE_SYNONYMS, shape))
        )
        yield asking.ask(f"the {other_color} {shape}", numbers, "color")
        yield asking.ask(f"the {color} {other_shape}", numbers, "shape")
        languages = half.of(lists.OTHER_LANGUAGES)
        name, pattern, colors, shapes = languages[int(rng.integers(len(languages)))]
        yield asking.ask(pattern.format(color=colors[color], shape=shapes[shape]), numbers, name)


def misspellings(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask with one slip of the fingers for an object that is there, and for one that is not."""
    asking = _asking("misspellings", scene)
    # The halves differ by the seed of the slips.
    rng = np.random.default_rng([scene, len(half.value)])
    absent = [each for each in fits(asking.view)[1] if each[0] and each[1]]
    for options, count, detail in ((_unique(asking), 2, "present"), (absent, 1, "absent")):
        for color, shape, numbers in asking.choose(options, count):
            if rng.random() < 0.5:
                color = lists.misspelt(color, tuple(COLORS), rng)
            else:
                shape = lists.misspelt(shape, SHAPES, rng)
            yield asking.ask(f"the {color} {shape}", numbers, detail)


def negations(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask for everything except some objects."""
    asking = _asking("negations", scene)
    view = asking.view
    if not view.visible or any(view.pixels[k] < MIN_PIXELS for k in view.visible):
        return
    for color, shape, numbers in asking.choose(fits(view)[0], 2):
        rest = [k for k in view.visible if k not in numbers]
        if not rest:
            continue
        detail, pattern = half.of(lists.NEGATIONS)[int(asking.rng.integers(len(half.of(lists.NEGATIONS))))]
        noun = f"{color} {shape or 'object'}".strip()
        yield asking.ask(pattern.format(q=noun), rest, detail)


def relations(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask for objects by their place, and for places and parts where nothing is."""
    asking = _asking("relations", scene)
    rng, unique = asking.rng, _unique(asking)
    yield from _sides(asking)
    if len(unique) > 1:
        pair = [unique[int(k)] for k in rng.choice(len(unique), 2, replace=False)]
        a, b = (f"the {color} {shape}" for color, shape, _ in pair)
        yield asking.ask(str(rng.choice(half.of(lists.FALSE_RELATIONS))).format(a=a, b=b), (), "false")


def _sides(asking: _Asking) -> Iterator[TrustQuestion]:
    """Ask for the leftmost or rightmost of several objects, and for what is beside another one."""
    view, rng = asking.view, asking.rng
    left = bool(rng.random() < 0.5)
    several = [each for each in fits(view)[0] if len(each[2]) > 1]
    for color, shape, numbers in asking.choose(several, 1):
        places = sorted((view.middle(k)[0] * (1 if left else -1), k) for k in numbers)
        if places[1][0] - places[0][0] > _FAR_PX:
            noun = f"{color} {shape or 'object'}".strip()
            yield asking.ask(f"the {'leftmost' if left else 'rightmost'} {noun}", [places[0][1]], "superlative")
    if any(view.pixels[k] < MIN_PIXELS for k in view.visible):
        return
    for color, shape, (anchor,) in asking.choose(_unique(asking), 1):
        away = {k: (view.middle(k)[0] - view.middle(anchor)[0]) * (-1 if left else 1) for k in view.visible if k != anchor}
        if away and min(abs(value) for value in away.values()) > _FAR_PX:
            beside = [k for k, value in away.items() if value > 0]
            words = f"objects to the {'left' if left else 'right'} of the {color} {shape}"
            yield asking.ask(words, beside, "side")


# --- Pictures ---------------------------------------------------------------------------------------------------


def degradations(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask about degraded pictures of the table, in known words."""
    asking = _asking("degradations", scene)
    names = half.of(DEGRADATIONS)
    for k in asking.rng.choice(len(names), 4, replace=False):
        name, strength = names[int(k)], int(asking.rng.choice(STRENGTHS))
        worse = replace(asking, view=degraded(asking.view, name, strength, asking.rng))
        yield from present_and_absent(worse, 1, f"{name} {strength}")


def _changed_tables(kind: str, option: str, names: Sequence[str], count: int) -> "Generator":
    def questions(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
        rng = np.random.default_rng([scene, *kind.encode()])
        name = str(rng.choice(half.of(names)))
        view = render_table(scene, rng, **{option: name})  # type: ignore[arg-type]
        yield from present_and_absent(_asking(kind, scene, view, name), count, name, option != "style")

    return questions


def unseen_objects(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask about tables of which some objects have forms that no training showed, also on other surfaces."""
    rng = np.random.default_rng([scene, 17])
    style = str(rng.choice(half.of(tuple(STYLES)))) if rng.random() < 0.5 else None
    view = render_table(scene, rng, style=style, solids=half.of(SOLIDS), object_count=int(rng.integers(1, 4)))
    asking = _asking("unseen objects", scene, view)
    yield from present_and_absent(asking, 3, plain=style is None)
    foreign = [k for k in view.visible if view.objects[k].shape not in SHAPES and view.pixels[k] >= MIN_PIXELS]
    names = [(view.objects[k].color, view.objects[k].shape, k) for k in foreign]
    for color, shape, _ in names[:1]:
        hits = view.fitting(color, shape)
        if hits is not None:
            yield asking.ask(f"the {color} {shape}", hits, "by its name")
        decoys = [name for name in SHAPES if view.fitting(color, name) == []]
        if decoys:
            yield asking.ask(f"the {color} {rng.choice(decoys)}", (), "other shape")


def nothing_there(scene: int, half: Half = Half.BOTH) -> Iterator[TrustQuestion]:
    """Ask, in known words, about an empty table and about pictures without a table."""
    rng = np.random.default_rng([scene, 23])
    table = render_table(scene, rng, object_count=0)
    name = str(rng.choice(half.of(tuple(EMPTY_PICTURES))))
    for view, detail in ((table, "empty table"), (empty_picture(name, rng), name)):
        yield from present_and_absent(_asking("nothing there", scene, view, detail), 2, detail, False)


Generator = Callable[[int, Half], Iterator[TrustQuestion]]
KINDS: dict[str, Generator] = {
    "in domain": in_domain,
    "fixed camera of the arm": arm_fixed,
    "wrist camera of the arm": arm_wrist,
    "wordings": wordings,
    "unknown words": unknown_words,
    "synonyms": synonyms,
    "misspellings": misspellings,
    "negations": negations,
    "relations": relations,
    "degradations": degradations,
    "other tables": _changed_tables("other tables", "style", tuple(STYLES), 2),
    "other lights": _changed_tables("other lights", "light", tuple(LIGHTS), 2),
    "other cameras": _changed_tables("other cameras", "camera", tuple(CAMERAS), 2),
    "unseen objects": unseen_objects,
    "nothing there": nothing_there,
}
"""Generators of the questions of one scene, by kind."""
IN_DOMAIN: tuple[str, ...] = tuple(KINDS)[:4]
"""Kinds that ask about known tables in known words."""


def trust_questions(scene: int, half: Half = Half.BOTH, kinds: Sequence[str] = tuple(KINDS)) -> Iterator[TrustQuestion]:
    """Yield the questions of one scene, kind by kind; errors as rendering."""
    for kind in kinds:
        yield from KINDS[kind](scene, half)
