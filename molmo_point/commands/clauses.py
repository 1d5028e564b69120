"""Steps of one clause of a command, by its verb."""

from molmo_point.commands.phrases import (
    NamedObject,
    Split,
    Words,
    begins,
    is_surface,
    is_worktop,
    lower,
    read_objects,
    splits,
    strip_end,
    strip_start,
    without_surface,
)
from molmo_point.commands.steps import CountStep, PickStep, PlaceStep, PointStep, Relation, Step
from molmo_point.commands.vocabulary import ANY_OBJECT, FORMS, OTHER_PLACES
from molmo_point.errors import InputError

_TO_ME: tuple[Words, ...] = (("to", "me"), ("to", "us"), ("over", "to", "me"), ("over",))
_ASIDE: tuple[Words, ...] = (("aside",), ("away",), ("down",), ("back",), ("to", "the", "side"))
_LOOSE = frozenset(("there", "you", "see", "here", "visible", "left", "we", "i", "have", "got", "now", "can", "do", "currently"))
_AUXILIARIES = frozenset(("are", "is", "do", "can", "have", "did", "were", "does"))


def refuse(what: str, given: Words | str, fix: str = "") -> InputError:
    """Make the error for a command that is not understood; without a fix it lists the possible commands."""
    text = given if isinstance(given, str) else " ".join(given)
    return InputError(what, repr(text), fix or f"say for example: {'; '.join(FORMS)}")


def pick(words: Words) -> list[Step]:
    """Read "pick up the red mug"."""
    words = strip_end(strip_start(words, (("up",), ("out",), ("hold", "of"))), (("up",), ("out",)))
    if lower(words) in (("up",), ("out",)):
        words = ()
    objects = _named(without_surface(words), "pick")
    if len(objects) > 1:
        fix = "say where each goes: 'put the red cube and the green ball in the bowl', or 'give me ...'"
        raise refuse("The gripper holds one object at a time", words, fix)
    if objects[0].repeats > 1:
        return _moved(objects, PlaceStep(Relation.ASIDE))
    return [PickStep(objects[0].name, objects[0].every)]


def give(words: Words) -> list[Step]:
    """Read "give me the red mug"."""
    words = strip_start(words, (("me",), ("us",), ("over",)))
    words = without_surface(strip_end(words, _TO_ME))
    if "to" in lower(words)[1:]:
        fix = "say 'give me ...', or 'put ... in (on, next to) ...'"
        raise refuse("Objects can be given to you only, or put in, on or next to other objects", words, fix)
    if not words or lower(words) in (("me",), ("us",), ("over",)):
        raise refuse("The command must name an object to give", words)
    return _moved(read_objects(words), PlaceStep(Relation.HAND_OVER))


def put(words: Words) -> list[Step]:
    """Read "put the red mug in the bowl"."""
    bare = strip_end(words, _ASIDE)
    bare = strip_start(words, _ASIDE) if bare == words else bare
    if bare != words:
        return _moved(read_objects(bare), PlaceStep(Relation.ASIDE))
    if lower(words[-2:]) in (("to", "me"), ("to", "us")) and len(words) > 2:
        return _moved(read_objects(words[:-2]), PlaceStep(Relation.HAND_OVER))
    found = splits(words)
    if not found and any(begins(words[index:], OTHER_PLACES) for index in range(1, len(words))):
        raise refuse("The place must be in, on or next to an object, or aside", words, "say for example 'in the bowl'")
    if not found:
        raise refuse("The command must name a place", words, "say for example: 'put the red mug in the bowl'")
    split = _only(found, words)
    return _moved(read_objects(split.objects), _place(split))


def clear(words: Words) -> list[Step]:
    """Read "clear the table"."""
    words = strip_start(words, (("up",), ("off",), ("away",), ("out",)))
    words = strip_end(words, (("up",), ("away",), ("off",)))
    place = PlaceStep(Relation.ASIDE)
    found = [split for split in splits(words) if not is_surface(split.place)]
    if found:
        split = _only(found, words)
        words, place = split.objects, _place(split)
    small = lower(words)
    if "of" in small[1:-1] and is_surface(words[: small.index("of")]):
        words = words[small.index("of") + 1 :]
    words = without_surface(words)
    on_surface = next((split for split in splits(words) if is_surface(split.place)), None)
    words = on_surface.objects if on_surface else words
    if not words or small in (("up",), ("off",), ("away",), ("out",)) or is_surface(words):
        return [PickStep(ANY_OBJECT, every=True), place]
    objects = _named(words, "clear")
    return [step for each in objects for step in (PickStep(each.name, every=True), place)]


def count(words: Words) -> list[Step]:
    """Read "count the screws"."""
    objects = _named(without_surface(words), "count")
    return [CountStep(each.name) for each in objects]


def how_many(words: Words) -> list[Step]:
    """Read the words after "how many": "screws are there", "screws are in the box"."""
    at = next((index for index, word in enumerate(words) if word.lower() in _AUXILIARIES and index), len(words))
    tail = tuple(word for word in words[at + 1 :] if word.lower() not in _LOOSE)
    on_surface = bool(tail) and is_surface(tail[1:])
    return count(words[:at] + (() if on_surface else tail))


def point(words: Words) -> list[Step]:
    """Read "point at the red mug"."""
    starts = (("at",), ("to",), ("out",), ("me",), ("us",), ("towards",), ("where",), ("is",), ("are",), ("for",))
    words = strip_end(strip_start(words, starts), (("is",), ("are",)))
    objects = _named(without_surface(words), "point at") if (lower(words),) not in [(start,) for start in starts] else []
    if not objects:
        raise refuse("The command must name an object to point at", words)
    return [PointStep(each.name) for each in objects]


def _named(words: Words, verb: str) -> list[NamedObject]:
    """Objects that are named; a pronoun is refused, because nothing was pointed at before."""
    objects = read_objects(words)
    if not objects:
        raise refuse(f"The command must name an object to {verb}", verb)
    if not all(each.name for each in objects):
        raise refuse(f"The command must name the object to {verb}", words, f"name it: '{verb} the red mug'")
    return objects


def _moved(objects: list[NamedObject], place: PlaceStep) -> list[Step]:
    """Steps for objects that all go to one place; a lone pronoun means the object in the gripper."""
    if not objects:
        raise refuse("The command must name an object to move", "")
    if len(objects) == 1 and not objects[0].name:
        return [place]
    if not all(each.name for each in objects):
        raise refuse("The command must name every object", "it", "say: 'the red mug and the green cube'")
    return [step for each in objects for _ in range(each.repeats) for step in (PickStep(each.name, each.every), place)]


def _place(split: Split) -> PlaceStep:
    if split.relation is Relation.ON and is_worktop(split.place):
        return PlaceStep(Relation.ASIDE)
    places = read_objects(split.place)
    if len(places) != 1 or not places[0].name or places[0].every or places[0].repeats > 1:
        raise refuse("The command must name one place", split.place, "say 'in the bowl', 'on the tray' or 'next to the plate'")
    return PlaceStep(split.relation, places[0].name)


def _only(found: list[Split], words: Words) -> Split:
    """The only reading; an arm must not guess between two."""
    if len(found) == 1:
        return found[0]
    readings = " or ".join(f"({' '.join(split.objects)}) {split.relation.value} ({' '.join(split.place)})" for split in found)
    fix = "say it in two: 'pick up the mug, then put it in the bowl'"
    raise refuse(f"The command must have one meaning, and has {len(found)}: {readings}", words, fix)
