"""Real photographs that come with packages: where a model trained on rendered tables stands in the real world.

The photographs are not part of this project; `PHOTOGRAPHS` says which package carries each. The outlines are drawn by
hand, in pixels of the photograph.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame

Outline = tuple[tuple[float, float], ...]
"""A polygon of (u, v); of two points, the ellipse in the box that they span."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph and its objects.

    Attributes:
        file: Its name.
        size_wh: Its size, by which another picture of that name is told apart.
        source: The package that carries it.
        outlines: Outlines of the objects by name; objects in front are last.
        asked: Words asked for, and the names of the objects that fit; none for an absent object.
        counted: Words of "how many" questions, and the names of the objects that fit.
        sha256: Its SHA-256, in hexadecimal digits.
    """

    file: str
    size_wh: tuple[int, int]
    source: str
    outlines: dict[str, Outline]
    asked: dict[str, tuple[str, ...]]
    counted: dict[str, tuple[str, ...]]
    sha256: str


def _disc(u: float, v: float, radius: float) -> Outline:
    return ((u - radius, v - radius), (u + radius, v + radius))


_SWEETS = {
    "red 1": _disc(33, 228, 27), "red 2": _disc(99, 258, 27), "red 3": _disc(288, 213, 27), "red 4": _disc(219, 306, 28),
    "blue 1": _disc(377, 81, 27), "blue 2": _disc(347, 238, 27), "blue 3": _disc(294, 319, 27),
    "green 1": _disc(268, 117, 27), "green 2": _disc(386, 170, 27), "green 3": _disc(14, 349, 24),
    "orange 1": _disc(206, 211, 27), "orange 2": _disc(134, 327, 27),
    "dark 1": _disc(152, 272, 27), "dark 2": _disc(78, 356, 24),
}  # fmt: skip


def _sweets(*colors: str) -> tuple[str, ...]:
    return tuple(name for name in _SWEETS if name.split()[0] in colors)


PHOTOGRAPHS = (
    Photograph(
        "coffee.png",
        (600, 400),
        "PyPI scikit-image (skimage/data)",
        {
            "plate": ((78, 78), (482, 390)),
            "cup": (
                (173, 110), (185, 65), (225, 30), (290, 16), (350, 26), (395, 60), (408, 105), (395, 200), (368, 240),
                (300, 285), (255, 285), (220, 308), (198, 300), (196, 265), (212, 235), (186, 205),
            ),
            "spoon": ((402, 68), (424, 72), (388, 225), (406, 258), (396, 305), (362, 328), (328, 300), (332, 262), (372, 225)),
        },
        {"cup": ("cup",), "mug": ("cup",), "spoon": ("spoon",), "plate": ("plate",), "hammer": (), "green ball": ()},
        {},
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    ),
    Photograph(
        "fruits.jpg",
        (512, 480),
        "Debian opencv-doc (examples/data)",
        {
            "banana": ((0, 102), (110, 98), (90, 160), (78, 250), (78, 290), (0, 270)),
            "kiwi": ((-70, 288), (115, 475)),
            "lime": ((330, 125), (560, 310)),
            "orange": (
                (255, 45), (270, 90), (295, 155), (320, 240), (338, 310), (330, 400), (345, 450), (280, 472), (200, 465),
                (140, 420), (85, 340), (75, 270), (90, 190), (150, 90), (220, 50),
            ),
            "lemon": ((318, 270), (560, 475)),
        },
        {"orange": ("orange",), "lime": ("lime",), "lemon": ("lemon",), "kiwi": ("kiwi",), "banana": ("banana",), "mug": ()},
        {},
        "9c031d80a1c52da5eca790db896baffec6a7e52bf786cdb7bbfca5c7f880e6a1",
    ),
    Photograph(
        "smarties.png",
        (413, 356),
        "Debian opencv-doc (examples/data)",
        _SWEETS,
        {
            "red ball": _sweets("red"),
            "blue ball": _sweets("blue"),
            "green ball": _sweets("green"),
            "orange ball": _sweets("orange"),
            "yellow ball": (),
            "mug": (),
        },
        {
            "red balls": _sweets("red"),
            "blue balls": _sweets("blue"),
            "green balls": _sweets("green"),
            "orange balls": _sweets("orange"),
        },
        "ad3f751c053fdcf432687c1bc0e56a61a9119d2bb2ae29365f8aa6534fc77417",
    ),
    Photograph(
        "stuff.jpg",
        (640, 480),
        "Debian opencv-doc (examples/data)",
        {
            "pencil": ((56, 97), (64, 88), (100, 105), (340, 250), (322, 256), (90, 118)),
            "coin": _disc(209, 307, 21),
            "lighter": ((315, 312), (357, 312), (357, 458), (315, 458)),
            "white box": _disc(395, 186, 59),
            "black box": _disc(228, 57, 37),
        },
        {"pencil": ("pencil",), "lighter": ("lighter",), "coin": ("coin",), "banana": (), "red mug": ()},
        {},
        "21cd00afbdd0727f445dd91c0a09633e6345ed5b05a3d2355453a1f3c314c6c5",
    ),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PhotoQuestion:
    """One question about a photograph; see `lab.evaluation.answer_kinds.AskedQuestion`.

    Attributes:
        frame: The photograph; no depth.
        mask: (h, w) int16, index of the visible object, −1 for none.
        kind: "photograph", "count" or "absent".
        phrase: What is asked for.
        targets: Indices in the mask of what fits.
        middles_px: (targets, 2) pixels, the middle of what is seen of each.
    """

    frame: RgbdFrame
    mask: np.ndarray
    kind: str
    phrase: str
    targets: tuple[int, ...]
    middles_px: np.ndarray


def photo_questions(folder: Path | None = None) -> Iterator[PhotoQuestion]:
    """The questions about every photograph that is there.

    Args:
        folder: Where to look; scikit-image's own folder is looked at, too, where it is installed.

    Raises:
        InputError: None of the photographs is there, or one is another picture of that name.
    """
    found = {photo: path for photo in PHOTOGRAPHS if (path := _find(photo.file, folder)) is not None}
    if not found:
        needed = ", ".join(f"{photo.file} ({photo.source})" for photo in PHOTOGRAPHS)
        given = f"{folder}, and scikit-image" if folder else "only scikit-image's own folder was looked at"
        raise InputError(
            "--photos must be a folder with one of the photographs", given, f"give --photos a folder with any of: {needed}"
        )
    for photo, path in found.items():
        yield from _questions(photo, path)


def _find(name: str, folder: Path | None) -> Path | None:
    skimage = importlib.util.find_spec("skimage")
    places = [folder] if folder else []
    if skimage is not None and skimage.origin is not None:
        places.append(Path(skimage.origin).parent / "data")
    return next((place / name for place in places if (place / name).is_file()), None)


def _questions(photo: Photograph, path: Path) -> Iterator[PhotoQuestion]:
    with Image.open(path) as image:
        color = np.asarray(image.convert("RGB"))
    if color.shape[1::-1] != photo.size_wh:
        raise InputError("This is another picture", f"{path}: {color.shape[1]}x{color.shape[0]}", f"take it from {photo.source}")
    frame, mask, names = RgbdFrame(color, None, None, stamp_ns=1), _mask(photo), list(photo.outlines)
    asked = [("photograph" if fits else "absent", phrase, fits) for phrase, fits in photo.asked.items()]
    for kind, phrase, fits in [*asked, *(("count", phrase, fits) for phrase, fits in photo.counted.items())]:
        targets = tuple(names.index(name) for name in fits)
        middles = [np.argwhere(mask == target)[:, ::-1].mean(axis=0) for target in targets]
        yield PhotoQuestion(frame, mask, kind, phrase, targets, np.array(middles).reshape(-1, 2))


def _mask(photo: Photograph) -> np.ndarray:
    canvas = Image.new("I", photo.size_wh, -1)
    pen = ImageDraw.Draw(canvas)
    for index, outline in enumerate(photo.outlines.values()):
        fill(pen, outline, index)
    return np.asarray(canvas).astype(np.int16)


def fill(pen: ImageDraw.ImageDraw, outline: Outline, value: int) -> None:
    """Set all pixels in an outline to a value."""
    draw = pen.ellipse if len(outline) == 2 else pen.polygon
    draw(outline, fill=value)
