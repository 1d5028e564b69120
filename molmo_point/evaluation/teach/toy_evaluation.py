"""Teaching of toys and questions about them: objects, views, tables, absence, twins, and times."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from molmo_point.evaluation.teach.taught_answers import Asked, AskedPicture, TaughtAnswer, answers_of
from molmo_point.evaluation.teach.toy_scenes import FIRST_SEED, MIN_PIXELS, ToyScene, asked_table, shown_toy, twin
from molmo_point.model.taught.feature_network import FeatureNetwork, load_feature_network
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.seen_image import see_image
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.model.taught.taught_backend import TaughtBackend
from molmo_point.pointer import Pointer
from molmo_point.sim.toys.toy import Toy
from molmo_point.teaching.session import TeachingSession

Progress = Callable[[Iterable[Any], int, str], Iterator[Any]]
"""Passes on items and shows the progress: items, their number, name of one."""
_TRIES = 4
_ON_TABLE, _TIMED = (3, 5), (1, 10, 50)
_TIMED_PICTURES = 8


@dataclass(frozen=True)
class TeachSettings:
    """Size of an evaluation of taught toys.

    Attributes:
        objects: Number of toys that are taught.
        views: Views of each.
        tables: Tables to ask about.
        seed: Number of the first toy, and seed of the tables.
        simulator: Depth camera, one of `SIMULATORS`.
        true_masks: Teach with the true masks; False finds them as `molmo-point teach` does.
    """

    objects: int = 20
    views: int = 5
    tables: int = 40
    seed: int = FIRST_SEED
    simulator: str = "kind"
    true_masks: bool = False


@dataclass
class TeachRun:
    """Results of an evaluation.

    Attributes:
        answers: All answers.
        teach_s: Duration of teaching each object after its last view, seconds.
        refused: Views that were refused, of `offered`.
        offered: Views that were offered.
        untaught: Names of objects of which no view was accepted.
        question_ms: Durations of a question about a new picture by the number of taught objects, milliseconds.
        pictures: A few pictures with their numbers, for a sheet.
    """

    answers: list[TaughtAnswer] = field(default_factory=list)
    teach_s: list[float] = field(default_factory=list)
    refused: int = 0
    offered: int = 0
    untaught: list[str] = field(default_factory=list)
    question_ms: dict[int, list[float]] = field(default_factory=dict)
    pictures: list[tuple[int, Any]] = field(default_factory=list)


def evaluate_toys(settings: TeachSettings, progress: Progress, pictures: int = 0) -> TeachRun:
    """Teach toys, ask about them on other tables, then teach twins of some, and ask again.

    Args:
        settings: Size of the evaluation.
        progress: Shows the progress.
        pictures: Number of pictures to keep for a sheet.
    """
    run = TeachRun()
    network = load_feature_network()
    toys = [Toy(settings.seed + k) for k in range(settings.objects)]
    library = _taught(Library.empty(network), toys, settings, network, run, progress)
    known = [toy for toy in toys if toy.name in library.names]
    frames = []
    for number in progress(range(settings.tables), settings.tables, "table"):
        rng = np.random.default_rng([settings.seed, number, 6])
        count = min(int(rng.integers(_ON_TABLE[0], _ON_TABLE[1] + 1)), max(len(known) - 1, 1))
        chosen = [known[k] for k in rng.choice(len(known), count, replace=False)]
        scene = asked_table(chosen, settings.seed, number, settings.simulator)
        absent = [toy for toy in known if toy not in chosen]
        absent = [absent[k] for k in rng.permutation(len(absent))[: len(chosen)]]
        frames.append(scene.frame)
        _ask(library, _questions(scene, chosen, absent, number), network, run, pictures)
    _ask_about_twins(library, known, settings, network, run, progress)
    _time_questions(library, frames[:_TIMED_PICTURES], network, run)
    return run


def _taught(
    library: Library, toys: Sequence[Toy], settings: TeachSettings, network: FeatureNetwork, run: TeachRun, progress: Progress
) -> Library:
    """Show and teach toys; those without an accepted view stay unknown."""
    for toy in progress(toys, len(toys), "object"):
        views = _views(toy, settings, library, network, run)
        if not views:
            run.untaught.append(toy.name)
            continue
        start = time.perf_counter()
        library = library.taught(toy.name, views)
        run.teach_s.append(time.perf_counter() - start)
    return library


def _views(toy: Toy, settings: TeachSettings, library: Library, network: FeatureNetwork, run: TeachRun) -> tuple[ShownView, ...]:
    session = TeachingSession(library, toy.name, network=network)
    for view in range(_TRIES * settings.views):
        scene = shown_toy(toy, settings.seed, view, settings.simulator)
        mask = scene.mask_of(toy)
        if settings.true_masks and not mask.any():
            continue
        offered = session.offer(scene.frame, mask=mask if settings.true_masks else None)
        run.offered += 1
        run.refused += not offered.accepted
        if len(session.views) == settings.views:
            break
    return session.views


def _questions(scene: ToyScene, present: Sequence[Toy], absent: Sequence[Toy], number: int) -> AskedPicture:
    """Ask for what is well in view, and for what is not there; what is hardly in view is not asked."""
    questions = [(Asked.PRESENT, toy.name, scene.mask_of(toy)) for toy in present]
    questions = [each for each in questions if np.count_nonzero(each[2]) >= MIN_PIXELS]
    nothing = np.zeros(scene.masks.shape, bool)
    questions += [(Asked.ABSENT, toy.name, nothing) for toy in absent]
    return AskedPicture(scene.frame, tuple(questions), number, scene.kind)


def _ask(library: Library, picture: AskedPicture, network: FeatureNetwork, run: TeachRun, pictures: int = 0) -> None:
    seen = see_image(picture.frame.color, network)
    run.answers += answers_of(Pointer(TaughtBackend(library, network)), library, picture, seen)
    if len(run.pictures) < pictures:
        run.pictures.append((picture.number, picture.frame.color))


def _ask_about_twins(
    library: Library,
    known: Sequence[Toy],
    settings: TeachSettings,
    network: FeatureNetwork,
    run: TeachRun,
    progress: Progress,
) -> None:
    """Teach twins of a quarter of the toys; ask for toys next to their twins, and for toys where only the twin is."""
    pairs = [(toy, twin(toy, k)) for k, toy in enumerate(known[: max(1, settings.objects // 4)])]
    library = _taught(library, [other for _, other in pairs], settings, network, run, progress)
    pairs = [pair for pair in pairs if pair[1].name in library.names]
    questions = [(pair, both) for pair in pairs for both in (True, False)]
    for k, ((toy, other), both) in enumerate(progress(questions, len(questions), "pair")):
        number = settings.tables + k
        # Only standing and pushed toys: a pair is not told apart by the side that it lies on.
        scene = asked_table((toy, other) if both else (other,), settings.seed, 4 * number, settings.simulator)
        mask = scene.mask_of(toy)
        if both and np.count_nonzero(mask) < MIN_PIXELS:
            continue
        asked = Asked.BOTH if both else Asked.TWIN
        _ask(library, AskedPicture(scene.frame, ((asked, toy.name, mask),), number, scene.kind), network, run)


def _time_questions(library: Library, frames: Sequence[Any], network: FeatureNetwork, run: TeachRun) -> None:
    """Time a question about a new picture with few and many taught objects; objects are repeated under other names."""
    names = library.names
    if not names:
        return
    for count in _TIMED:
        objects, heads = [], {}
        for k in range(count):
            name = f"object {k}"
            objects.append(replace(library.objects[k % len(names)], name=name, aliases=(), categories=()))
            heads[name] = library.heads[names[k % len(names)]]
        pointer = Pointer(TaughtBackend(replace(library, objects=tuple(objects), heads=heads), network))
        times = []
        for k, frame in enumerate(frames):
            start = time.perf_counter()
            pointer.point(frame, f"object {k % count}")
            times.append((time.perf_counter() - start) * 1e3)
        run.question_ms[count] = times[1:] or times
