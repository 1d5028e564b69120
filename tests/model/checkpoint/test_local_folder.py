"""Where a checkpoint's files are: in a folder, or fetched from the hub, and only those that are named."""

from pathlib import Path

import pytest

from molmo_point.errors import CheckpointError
from molmo_point.model.checkpoint.local_folder import local_folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list:
    """What the hub was asked for; it answers with tmp_path."""
    calls: list = []

    def fetch(source: str, **options: object) -> str:
        calls.append((source, options))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    return calls


def test_a_folder_is_taken_as_it_is(asked: list, tmp_path: Path) -> None:
    assert local_folder(tmp_path, ("*.json",)) == tmp_path
    assert local_folder(str(tmp_path), ("*.json",), {"subfolder": "inner"}) == tmp_path / "inner"
    assert local_folder(Path("not/there"), ("*.json",)) == Path("not/there")
    assert asked == []


def test_the_hub_is_asked_for_the_named_files_with_its_own_options_only(asked: list, tmp_path: Path) -> None:
    options = {"revision": "abc", "token": None, "subfolder": "inner", "device_map": "auto", "local_files_only": False}
    assert local_folder("some/model", ("*.json", "*.txt"), options) == tmp_path / "inner"
    assert asked == [
        ("some/model", {"allow_patterns": ["*.json", "*.txt"], "revision": "abc", "local_files_only": False}),
    ]


def test_what_cannot_be_fetched_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(CheckpointError, match="no/where: ConnectionError") as caught:
        local_folder("no/where", ("*.json",))
    assert "pass the folder" in caught.value.fix
