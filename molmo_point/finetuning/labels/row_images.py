"""Where the image of a row lies on disk. Nothing is downloaded."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

_ORIENTATION = 0x0112  # EXIF
_SIDEWAYS = (5, 6, 7, 8)
_EMPTY_MESSAGE = "`image` must be the path of an image file, relative to the file of rows"


class RowError(ValueError):
    """What is wrong with one row, in a few words; its place is added by whoever reads the file."""


@dataclass
class RowImages:
    """Finds images by path, or by the hash of their address or content, and reads how large they are.

    Args:
        rows: The folder that paths are relative to: that of the file of rows.
        images: The folder of images named by hash, with or without suffix, as PixMo's own loader names them.
    """

    rows: Path
    images: Path
    _by_stem: dict[str, Path] | None = field(default=None, repr=False)
    _sizes: dict[Path, tuple[int, int]] = field(default_factory=dict, repr=False)

    def find(self, row: dict[str, Any]) -> Path:
        """The image file of a row: its ``image``, else the file named by ``image_url``'s or by its own SHA-256.

        Raises:
            RowError: The row names none, or the file is not there.
        """
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
        """Width and height as it is looked at, EXIF orientation applied; only the header is read.

        Raises:
            RowError: It is no image.
        """
        if path not in self._sizes:
            try:
                with Image.open(path) as picture:
                    width, height = picture.size
                    # A PNG is read to its end for EXIF data that stand not before its pixels.
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
