"""All labels of some files, by image: read and checked once, then drawn from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.errors import InputError
from molmo_point.finetuning.labels.formats import COLUMNS, FORMATS, UNITS, Annotation, Caption, format_of
from molmo_point.finetuning.labels.row_files import BrokenRow, Place, read_rows, row_files
from molmo_point.finetuning.labels.row_images import RowError, RowImages
from molmo_point.model.inputs.image_input import to_rgb

_VALIDATION_SEED, _MOST_KEPT_OUT = 96817, 2048
_TOLD = 20
FIX = "mend the row, or leave bad rows out with --skip-bad (skip_bad: true in the configuration)"


@dataclass(frozen=True)
class LabelledImage:
    """One image with everything that is said about it.

    Attributes:
        path: The image file.
        place: The first row about it.
        annotations: What its rows say, in their order.
    """

    path: Path
    place: Place
    annotations: list[Annotation]

    def pixels(self) -> np.ndarray:
        """(h, w, 3) uint8, EXIF orientation applied.

        Raises:
            InputError: The file is broken behind its header, or has gone.
        """
        try:
            return to_rgb(self.path)
        except InputError as error:
            raise InputError("The image of a row cannot be read", f"{self.place}: {error.given}", FIX) from error


@dataclass
class BadRows:
    """Rows that were left out: how many, and what was wrong with the first ones."""

    count: int = 0
    told: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Counts one more."""
        self.count += 1
        if len(self.told) < _TOLD:
            self.told.append(text)


class LabelSet:
    """Labels of images, grouped by image; some images are kept out for validation, the same ones every time.

    Args:
        path: A parquet or JSON-lines file, or a folder of them.
        kind: Name of one of `FORMATS`; None tells it from the columns of each row.
        images: Folder of images named by hash; None takes ``images/`` beside the file.
        unit: ``"percent"`` or ``"pixels"``: in what points are given; None as PixMo has it for the format.
        skip_bad: Whether bad rows are left out and counted instead of being an error.
        validation_share: Share of the images that training never shows, at most 2048.

    Attributes:
        train: Images to train on.
        validation: Images kept out.
        bad: What was left out.
        rows: Number of rows that were taken.

    Raises:
        InputError: There is no such file, a row is bad and ``skip_bad`` is False, or nothing is left.
        DependencyError: A parquet file, and pyarrow is not installed.
    """

    def __init__(
        self,
        path: Path,
        kind: str | None = None,
        images: Path | None = None,
        unit: str | None = None,
        skip_bad: bool = False,
        validation_share: float = 0.05,
    ) -> None:
        _check_choice("format", kind, tuple(FORMATS))
        _check_choice("unit of points", unit, ("percent", "pixels"))
        self._kind, self._images, self._unit, self._skip_bad = kind, images, unit, skip_bad
        self.bad = BadRows()
        by_image: dict[Path, LabelledImage] = {}
        self.rows = 0
        for place, image, annotation in self._read(path):
            by_image.setdefault(image, LabelledImage(image, place, [])).annotations.append(annotation)
            self.rows += 1
        if not by_image:
            given = f"{path}: {self.bad.count} bad rows" + (f", the first: {self.bad.told[0]}" if self.bad.told else "")
            raise InputError("There are no labels", given, "give files with at least one good row")
        self.train, self.validation = _parted(list(by_image.values()), validation_share)

    @property
    def has_captions(self) -> bool:
        """Whether any row is a caption."""
        return any(isinstance(a, Caption) for image in self.train for a in image.annotations)

    def _read(self, path: Path) -> Iterator[tuple[Place, Path, Annotation]]:
        for file in row_files(path):
            images = RowImages(file.parent, self._images or file.parent / "images")
            for place, row in read_rows(file, COLUMNS):
                try:
                    if isinstance(row, BrokenRow):
                        raise RowError(row.why)
                    yield (place, *self._annotation(row, images))
                except RowError as error:
                    if not self._skip_bad:
                        raise InputError("A row of labels is bad", f"{place}: {error}", FIX) from error
                    self.bad.add(f"{place}: {error}")

    def _annotation(self, row: dict[str, Any], images: RowImages) -> tuple[Path, Annotation]:
        kind = self._kind or format_of(row)
        image = images.find(row)
        images.size(image)  # a file that is no image is found now, not hours into the run
        return image, FORMATS[kind](row, self._unit or UNITS[kind], lambda: images.size(image))


def _parted(images: list[LabelledImage], share: float) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """(train, validation), in the order of the files."""
    kept_out = min(_MOST_KEPT_OUT, round(share * len(images)))
    chosen = set(np.random.default_rng(_VALIDATION_SEED).permutation(len(images))[:kept_out].tolist())
    parts = [image for k, image in enumerate(images) if k not in chosen], [images[k] for k in sorted(chosen)]
    if not parts[0]:
        raise InputError("Nothing is left to train on", f"{len(images)} images, share {share:g}", "lower validation_share")
    return parts


def _check_choice(what: str, given: str | None, choices: tuple[str, ...]) -> None:
    if given is not None and given not in choices:
        raise InputError(f"There is no such {what}", repr(given), f"use one of {', '.join(choices)}, or leave it out")
