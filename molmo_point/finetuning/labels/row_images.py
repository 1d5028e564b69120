"""Image files of rows on disk. Nothing is downloaded."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from molmo_point.files import IMAGE_FORMATS, open_file

_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101  # EXIF and TIFF
_SIDEWAYS = (5, 6, 7, 8)
_EMPTY_MESSAGE = "`image` must be the path of an image file, relative to the file of rows"


class RowError(ValueError):
    """The fault of one row, in a few words; the reader of the file adds the place."""


@dataclass
class RowImages:
    """Images by path, or by the hash of their address or content.

    Args:
        rows: Folder of the file of rows, which paths are relative to.
        images: Folder of images named by hash, with or without suffix, as PixMo's own loader names them.
    """

    rows: Path
    images: Path
    _by_stem: dict[str, Path] | None = field(default=None, repr=False)
    _sizes: dict[Path, tuple[int, int]] = field(default_factory=dict, repr=False)

    def find(self, row: dict[str, Any]) -> Path:
        """Return the image file of a row: its ``image``, or that named by a SHA-256 of URL or content; RowError without one."""
        given = row.get("image")
        if given is not None:
            if not isinstance(given, str) or not given:
                raise RowError(_EMPTY_MESSAGE if isinstance(given, (str, bytes, dict)) else f"{_EMPTY_MESSAGE}: {given!r}")
            path = self.rows / given
            if not path.is_file():
                raise RowError(f"there is no image {path}")
            return path
        url, sha256 = row.get("image_url"), row.get("image_sha256")
        names = [hashlib.sha256(url.encode()).hexdigest()] if isinstance(url, str) and url else []
        names += [sha256] if isinstance(sha256, str) and sha256 else []
        if not names:
            raise RowError("the row names no image: it needs `image`, `image_url` or `image_sha256`")
        found = next((path for name in names if (path := self._named().get(name)) is not None), None)
        if found is None:
            raise RowError(f"there is no image {' or '.join(names)} in {self.images}")
        return found

    def size(self, path: Path) -> tuple[int, int]:
        """Return width and height, EXIF orientation applied, from the header alone; RowError if the file is no image."""
        if path not in self._sizes:
            try:
                with open_file(path) as file, Image.open(file, formats=IMAGE_FORMATS) as picture:
                    # Pillow states the size of a TIFF before or after its turn, depending on the version.
                    tags = picture.tag_v2 if isinstance(picture, TiffImageFile) else {}
                    width, height = (tags[_WIDTH], tags[_HEIGHT]) if tags else picture.size
                    # A PNG is read to its end for EXIF data that do not precede its pixels.
                    early = picture.format != "PNG" or "exif" in picture.info
                    turned = early and picture.getexif().get(_ORIENTATION) in _SIDEWAYS
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                raise RowError(f"the image cannot be opened: {path}: {error}") from error
            self._sizes[path] = (height, width) if turned else (width, height)
        return self._sizes[path]

    def _named(self) -> dict[str, Path]:
        if self._by_stem is None:
            self._by_stem = {}
            if self.images.is_dir():
                with os.scandir(self.images) as entries:
                    self._by_stem = {entry.name.split(".", 1)[0]: Path(entry.path) for entry in entries if entry.is_file()}
        return self._by_stem
