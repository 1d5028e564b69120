"""A folder with three photographs and rows about them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

URL = "https://example.org/a.jpg"


def picture(path: Path, size_wh: tuple[int, int] = (40, 30), shade: int = 90) -> Path:
    """A small image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size_wh[1], size_wh[0], 3), shade, np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``photo.png`` beside the rows, and two images named by hash."""
    picture(tmp_path / "photo.png")
    picture(tmp_path / "images" / f"{hashlib.sha256(URL.encode()).hexdigest()}.png", (200, 100))
    picture(tmp_path / "images" / "c0ffee.jpg")
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Writes rows as JSON lines; a text is written as it is."""

    def write(*rows: dict[str, Any] | str, name: str = "rows.jsonl") -> Path:
        path = folder / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return write
