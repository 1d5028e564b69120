"""Options that say where the object is in the pictures: clicks, masks, the empty scene, or the point of another model."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.camera.image_file import load_color
from molmo_point.cli.point import load_pointer
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.object_mask import MaskSource

_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
_EXAMPLE = ("320", "240", "400", "310")
Pixel = tuple[float, float]


def add_marks(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    told = "default: by depth, or the difference to --empty, or the object alone in the picture"
    group = parser.add_argument_group(f"where the object is ({told})")
    told = "pixel on the object; of several pictures, one for each in their order"
    group.add_argument("--click", action="append", default=[], metavar="U,V", help=told)
    told = "box around the object; of several pictures, one for each in their order"
    group.add_argument("--box", action="append", default=[], metavar="L,T,R,B", help=told)
    told = "mask of the object, white on black; of several pictures, a folder of masks with the names of the pictures"
    group.add_argument("--mask", type=Path, metavar="PATH", help=told)
    told = "picture of the scene without the object, from the same place; of a camera, the first frame if no file is named"
    group.add_argument("--empty", nargs="?", const="", metavar="FILE", help=told)
    group.add_argument("--by", metavar="WORDS", help="the object that --model points at when it is asked for these words")
    sources = [source.value.lower() for source in MaskSource if source is not MaskSource.GIVEN]
    told = f"the way to tell the object from the rest: {', '.join(sources)} (default auto)"
    group.add_argument("--mask-from", choices=sources, default=MaskSource.AUTO.value.lower(), metavar="WAY", help=told)


@dataclass(frozen=True)
class Mark:
    """Place of the object in one picture.

    Attributes:
        uv: Pixel on it; None if none is known.
        box: Left, top, right and bottom around it; None without one.
        mask: Mask image; None if none was given.
    """

    uv: Pixel | None = None
    box: tuple[float, ...] | None = None
    mask: np.ndarray | None = None


@dataclass
class Marks:
    """Places of the object in all pictures, as the options say.

    Attributes:
        clicks: Pixels, in the order of the pictures.
        boxes: Boxes, in the order of the pictures.
        mask: Mask image, or folder of them; None without.
        empty: Scene without the object; None without.
        words: Words for another model; None without.
        pointer: The other model.
        source: Way to tell the object from the rest.
    """

    clicks: Sequence[Pixel] = ()
    boxes: Sequence[tuple[float, ...]] = ()
    mask: Path | None = None
    empty: RgbdFrame | None = None
    words: str | None = None
    pointer: Any = None
    source: MaskSource = MaskSource.AUTO
    _seen: int = field(default=0, repr=False)

    def of(self, frame: RgbdFrame, path: Path | None) -> Mark:
        """Return the mark of the next picture.

        Args:
            frame: The picture.
            path: Its file; None for a frame of a camera, a video or a recording.

        Raises:
            InputError: Its mask is missing or no image.
        """
        number, self._seen = self._seen, self._seen + 1
        if self.mask is not None:
            return Mark(mask=load_color(self._mask_of(path)))
        if self.words is not None:
            return Mark(uv=_pointed(self.pointer, frame, self.words))
        if self.boxes:
            return Mark(box=self.boxes[min(number, len(self.boxes) - 1)])
        if self.clicks:
            return Mark(uv=self.clicks[min(number, len(self.clicks) - 1)])
        return Mark()

    def _mask_of(self, path: Path | None) -> Path:
        assert self.mask is not None
        if not self.mask.is_dir():
            return self.mask
        stem = "" if path is None else path.stem
        found = next((file for suffix in _MASK_SUFFIXES if (file := self.mask / f"{stem}{suffix}").is_file()), None)
        if found is None:
            raise InputError(
                "--mask must hold a mask of the same name for each picture", f"{stem} in {self.mask}", f"add {stem}.png"
            )
        return found


def marks_of(options: argparse.Namespace, photographs: int | None, live: bool) -> Marks:
    """Read the options that say where the object is.

    Args:
        options: Options of `add_marks` and `add_model`.
        photographs: Number of photographs; None for sources of many frames.
        live: True for a camera.

    Raises:
        InputError: Two ways are given, or one does not go with the source.
    """
    given = [name for name in ("click", "box", "mask", "empty", "by") if vars(options)[name] not in (None, [])]
    if len(given) > 1 and given != ["click", "empty"]:
        raise InputError("One way must say where the object is", " and ".join(f"--{name}" for name in given), "choose one")
    clicks = [checked_pixel("--click", text) for text in options.click]
    boxes = [checked_numbers("--box", text, "L,T,R,B") for text in options.box]
    if (clicks or boxes) and len(clicks or boxes) != (photographs or 1):
        wanted = "one for each picture" if photographs else "one"
        counts = f"{len(clicks or boxes)}, and {photographs or 1} pictures"
        raise InputError(f"--{given[0]} must be given {wanted}", counts, "give as many, or masks with --mask")
    if options.mask is not None and (photographs is None or (photographs > 1 and not options.mask.is_dir())):
        fix = "give a folder of masks with the names of the photographs"
        raise InputError("--mask must go with photographs, one for each", f"{options.mask}", fix)
    if options.empty == "" and not live:
        raise InputError("--empty must name a picture", "--empty without a file", "name it, or show the scene with --camera")
    empty = RgbdFrame.of(load_color(options.empty, upright=True)) if options.empty else None
    pointer = load_pointer(options, taught=False) if options.by is not None else None
    source = MaskSource(options.mask_from.upper())
    return Marks(clicks, boxes, options.mask, empty, options.by, pointer, source)


def checked_pixel(option: str, text: str) -> Pixel:
    """Read one pixel U,V; errors as `checked_numbers`."""
    u, v = checked_numbers(option, text, "U,V")
    return u, v


def checked_numbers(option: str, text: str, form: str) -> tuple[float, ...]:
    """Read the pixels of an option, e.g. in the form U,V.

    Raises:
        InputError: The text has another form.
    """
    try:
        numbers = tuple(float(value) for value in text.split(","))
    except ValueError:
        numbers = ()
    count = len(form.split(","))
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        fix = f"e.g. {option} {','.join(_EXAMPLE[:count])}"
        raise InputError(f"{option} must be {form} in pixels", repr(text), fix)
    return numbers


def _pointed(pointer: Any, frame: RgbdFrame, words: str) -> Pixel:
    """Return the best point of another model, if it is trusted.

    Raises:
        InputError: The model sees no such object, or doubts its answer.
    """
    pointing = pointer.point(frame, words)
    if not pointing.found:
        raise InputError("--by must be words for an object in the picture", f"{words!r}, {pointing.model} sees none", "click it")
    if not pointing.trusted:
        doubts = ", ".join(caution.kind.value for caution in pointing.cautions)
        given = f"{words!r}, {pointing.model} points under caution: {doubts}"
        raise InputError("--by must be words that the model answers without caution", given, "click the object: --click U,V")
    return pointing.best.point.uv
