"""A library of two objects, taught once by the command itself, and the folders that it was taught from."""

import json
import shutil
from pathlib import Path

import pytest

from molmo_point.cli import main
from tests.cli.teach.shown_photos import GREEN, RED, save_photos


@pytest.fixture(scope="session")
def shown(tmp_path_factory) -> Path:
    """Folder with the photographs of a red and of a green object, and their library."""
    folder = tmp_path_factory.mktemp("shown")
    for name, color in (("my mug", RED), ("spare mug", GREEN)):
        save_photos(folder / name, color, range(3))
        words = ["--from", str(folder / name), "--mask", str(folder / f"{name}_masks"), "--category", "cup"]
        assert main(["teach", name, *words, "--taught", str(folder / "taught.safetensors")]) == 0
    return folder


@pytest.fixture
def taught(shown: Path, tmp_path: Path) -> Path:
    """A copy of the library."""
    return Path(shutil.copy(shown / "taught.safetensors", tmp_path / "taught.safetensors"))


@pytest.fixture
def command(capsys):
    """Run the command; return its exit code, its JSON (None after an error), and its last line on stderr."""

    def run(*words: object) -> tuple[int, dict | None, str]:
        code = main([*map(str, words), "--json"])
        out, err = capsys.readouterr()
        lines = err.strip().splitlines()
        return code, json.loads(out) if out else None, lines[-1] if lines else ""

    return run
