"""All labels of some files, by image: read and checked once, then drawn from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from molmo_point.arrays import ColorArray
from molmo_point.errors import InputError
from molmo_point.finetuning.labels.formats import COLUMNS, FORMATS, UNITS, Annotation, format_of
from molmo_point.finetuning.labels.row_files import read_rows, row_files
from molmo_point.finetuning.labels.row_images import RowError, RowImages
from molmo_point.model.inputs.image_input import to_rgb

_VALIDATION_SEED, _MOST_KEPT_OUT = 96817, 2048
_TOLD = 20
FIX = "mend the row, or leave bad rows out with --skip-bad (skip_bad: true in the configuration)"


@dataclass(frozen=True)
class LabeledImage:
    """One image file with the annotations of its rows, in their order, and the place of the first row."""

    path: Path
    place: str
    annotations: list[Annotation]

    def pixels(self) -> ColorArray:
        """Return the image (h, w, 3) RGB, EXIF orientation applied; InputError if the file is broken or gone."""
        try:
            return to_rgb(self.path)
        except InputError as error:
            raise InputError("The image of a row must be readable", f"{self.place}: {error.given}", FIX) from error


@dataclass
class BadRows:
    """Number of rows that were left out, with places and faults of the first ones."""

    count: int = 0
    told: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.count += 1
        if len(self.told) < _TOLD:
            self.told.append(text)


class LabelSet:
    """Labels of images, grouped by image; some images are kept out for validation, the same ones every time.

    Args:
        path: A parquet or JSON-lines file, or a folder of them.
        kind: Name of one of `FORMATS`; None tells it from the columns of each row.
        images: Folder of images named by hash; None takes ``images/`` in the folder of the file.
        unit: Unit of points, ``"percent"`` or ``"pixels"``; None takes PixMo's for the format.
        skip_bad: True leaves out bad rows and counts them in ``bad``; False raises.
        validation_share: Share of the images that are in ``validation`` instead of ``train``, at most 2048.

    Raises:
        InputError: The file does not exist, a row is bad and ``skip_bad`` is False, or nothing is left.
        DependencyError: A parquet file needs pyarrow, which is not installed.
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
        self.path, self._kind, self._images, self._unit, self._skip_bad = path, kind, images, unit, skip_bad
        self.bad = BadRows()
        by_image: dict[Path, LabeledImage] = {}
        self.rows = 0
        for place, image, annotation in self._read(path):
            by_image.setdefault(image, LabeledImage(image, place, [])).annotations.append(annotation)
            self.rows += 1
        if not by_image:
            given = f"{path}: {self.bad.count} bad rows" + (f", the first: {self.bad.told[0]}" if self.bad.told else "")
            raise InputError("Files of labels must hold good rows", given, "give files with at least one good row")
        self.train, self.validation = _parted(list(by_image.values()), validation_share)

    def _read(self, path: Path) -> Iterator[tuple[str, Path, Annotation]]:
        for file in row_files(path):
            images = RowImages(file.parent, self._images or file.parent / "images")
            for place, row in read_rows(file, COLUMNS):
                try:
                    if isinstance(row, RowError):
                        raise row
                    yield (place, *self._annotation(row, images))
                except RowError as error:
                    if not self._skip_bad:
                        raise InputError("Every row of labels must be valid", f"{place}: {error}", FIX) from error
                    self.bad.add(f"{place}: {error}")

    def _annotation(self, row: dict[str, Any], images: RowImages) -> tuple[Path, Annotation]:
        kind = self._kind or format_of(row)
        image = images.find(row)
        images.size(image)  # a file that is no image is found now, not hours into the run
        return image, FORMATS[kind](row, self._unit or UNITS[kind], lambda: images.size(image))


def _parted(images: list[LabeledImage], share: float) -> tuple[list[LabeledImage], list[LabeledImage]]:
    """Part images into training and validation, in the order of the files."""
    kept_out = min(_MOST_KEPT_OUT, round(share * len(images)))
    chosen = set(np.random.default_rng(_VALIDATION_SEED).permutation(len(images))[:kept_out].tolist())
    parts = [image for k, image in enumerate(images) if k not in chosen], [images[k] for k in sorted(chosen)]
    if not parts[0]:
        given = f"{len(images)} images, share {share:g}"
        raise InputError("The images must leave some to train on", given, "lower validation_share")
    return parts
