"""Photographs of one's own objects, a folder each: every photograph is asked about by those who were taught the others."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molmo_point.errors import InputError
from molmo_point.evaluation.teach.taught_answers import Asked, AskedPicture, answers_of
from molmo_point.evaluation.teach.toy_evaluation import TeachRun
from molmo_point.frame import RgbdFrame
from molmo_point.model.taught.feature_network import load_feature_network
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.seen_image import see_image
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.model.taught.taught_backend import TaughtBackend
from molmo_point.pointer import Pointer
from molmo_point.teaching.masks.mask_sources import find_object_mask
from molmo_point.teaching.object_mask import NoMask
from molmo_point.teaching.source_frames import frames_of

LEAST_PHOTOGRAPHS = 2
_MOST_ABSENT = 4
_FRAMES = 40


@dataclass(frozen=True, eq=False)
class OwnPhotograph:
    """A photograph of an object with its mask.

    Attributes:
        name: Name of the object, which is that of its folder.
        frame: The photograph.
        mask: Pixels of the object (h, w), as they were found.
        ignored: Pixels (h, w) that may or may not show the object.
    """

    name: str
    frame: RgbdFrame
    mask: NDArray[np.bool_]
    ignored: NDArray[np.bool_] | None


def own_photographs(folder: Path) -> tuple[list[OwnPhotograph], list[str]]:
    """Read the photographs of a folder with a folder of each object, and find their masks.

    Args:
        folder: Folder of folders; photographs, videos and recordings are read as `molmo-point teach` reads them.

    Returns:
        The photographs, and a line about each that cannot be used.

    Raises:
        InputError: There are no two objects with two photographs each.
    """
    found: list[OwnPhotograph] = []
    left_out: list[str] = []
    rooms = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for room in rooms:
        for source in frames_of([room], _FRAMES):
            if source.frame is None:
                left_out.append(f"{room.name}/{source.origin}: {source.problem}")
                continue
            mask = find_object_mask(source.frame)
            if isinstance(mask, NoMask):
                left_out.append(f"{room.name}/{source.origin}: {mask.message}")
                continue
            found.append(OwnPhotograph(room.name, source.frame, mask.mask, mask.ignored))
    names = {each.name for each in found}
    usable = {name for name in names if sum(each.name == name for each in found) >= LEAST_PHOTOGRAPHS}
    if len(usable) < 2:
        given = f"{folder} with {len(usable)} such folders of {len(rooms)}" + (f"; {left_out[0]}" if left_out else "")
        raise InputError(
            "folder must hold a folder for each of two objects or more, with two usable photographs or more in each",
            given,
            "name each folder after its object, and show the object alone",
        )
    left_out += [f"{name}: one photograph alone cannot be left out" for name in sorted(names - usable)]
    return [each for each in found if each.name in usable], left_out


def evaluate_photographs(
    photographs: list[OwnPhotograph], progress: Callable[[Iterable[Any], int, str], Iterator[Any]], pictures: int = 0
) -> TeachRun:
    """Leave out one photograph of each object at a time, teach the others, and ask about those that were left out.

    The truth of a point is the mask that was found in the photograph itself.

    Args:
        photographs: From `own_photographs`.
        progress: Shows the progress: items, their number, name of one.
        pictures: Number of pictures to keep for a sheet.
    """
    run, network = TeachRun(), load_feature_network()
    rooms: dict[str, list[OwnPhotograph]] = {}
    for each in photographs:
        rooms.setdefault(each.name, []).append(each)
    folds = max(map(len, rooms.values()))
    for fold in progress(range(folds), folds, "round"):
        library = Library.empty(network)
        for name, room in rooms.items():
            views = [ShownView(p.frame.color, p.mask, p.ignored) for k, p in enumerate(room) if k != fold]
            start = time.perf_counter()
            library = library.taught(name, views)
            run.teach_s.append(time.perf_counter() - start)
        pointer = Pointer(TaughtBackend(library, network))
        for index, (name, room) in enumerate(rooms.items()):
            if fold >= len(room):
                continue
            left, number = room[fold], len(rooms) * fold + index
            others = [other for other in rooms if other != name]
            absent = [others[(number + k) % len(others)] for k in range(min(_MOST_ABSENT, len(others)))]
            nothing = np.zeros(left.mask.shape, bool)
            questions = ((Asked.PRESENT, name, left.mask), *((Asked.ABSENT, other, nothing) for other in absent))
            seen = see_image(left.frame.color, network)
            run.answers += answers_of(pointer, library, AskedPicture(left.frame, questions, number, name), seen)
            if len(run.pictures) < pictures:
                run.pictures.append((number, left.frame.color))
    return run
