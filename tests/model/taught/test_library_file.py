"""Library files: what was written is read, what is broken is refused in one line, and no process loses another one's objects."""

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from molmo_point import files
from molmo_point.errors import InputError
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.library_file import change_library, read_libraries, read_library, write_library


@pytest.fixture
def path(tmp_path: Path, mugs: Library) -> Path:
    write_library(tmp_path / "my objects.taught", mugs)
    return tmp_path / "my objects.taught"


def parts(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Take a file apart: description and tensors."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["library"]), load(data)


def put(path: Path, described: object, tensors: dict[str, np.ndarray], kind: str = "molmo-point taught objects") -> None:
    path.write_bytes(save(tensors, {"kind": kind, "library": json.dumps(described)}))


def test_a_library_comes_back_as_it_was(path: Path, mugs: Library) -> None:
    found = read_library(path)
    assert found.names == mugs.names and found.title == "my objects" and found.features == mugs.features
    for one, other in zip(found.objects, mugs.objects, strict=True):
        assert (one.digest, one.aliases, one.categories) == (other.digest, other.aliases, other.categories)
        for name, array in mugs.heads[one.name].arrays().items():
            assert np.array_equal(found.heads[one.name].arrays()[name], array)
    assert not any(name.startswith(".") for name in os.listdir(path.parent))


def test_an_empty_library_is_a_library(tmp_path: Path) -> None:
    write_library(tmp_path / "none", Library.empty())
    assert read_library(tmp_path / "none").names == ()


def _without_kind(d, t, path):
    put(path, d, t, "weights")


def _newer(d, t, path):
    put(path, d | {"format": 2}, t)


def _no_number(d, t, path):
    put(path, d | {"format": "1"}, t)


def _other_features(d, t, path):
    put(path, d | {"features": "lite9-0123456789ab"}, t)


def _path_as_features(d, t, path):
    put(path, d | {"features": "../lite0-cb4172eb5183"}, t)


def _a_list(d, t, path):
    put(path, [d], t)


def _many(d, t, path):
    put(path, d | {"objects": d["objects"] * 2000}, t)


def _no_list(d, t, path):
    put(path, d | {"objects": {"a": 1}}, t)


def _twins(d, t, path):
    put(path, d | {"objects": [d["objects"][0]] * 2}, t)


def _tag(d, t, path):
    d["objects"][0]["name"] = '<point x="1.0" y="1.0">'
    put(path, d, t)


def _number_as_name(d, t, path):
    d["objects"][0]["name"] = 7
    put(path, d, t)


def _text_as_aliases(d, t, path):
    d["objects"][0]["aliases"] = "cup"
    put(path, d, t)


def _no_views(d, t, path):
    d["objects"][0]["views"] = []
    put(path, d, t)


def _more_views(d, t, path):
    d["objects"][0]["views"] *= 2
    put(path, d, t)


def _old_stamp(d, t, path):
    d["objects"][0]["views"][0]["stamp_ns"] = -5
    put(path, d, t)


def _no_head(d, t, path):
    put(path, d, {k: v for k, v in t.items() if ".1.head.mean" not in k})


def _small_head(d, t, path):
    put(path, d, t | {k: v[:5] for k, v in t.items() if k.endswith("mean")})


def _nan(d, t, path):
    put(path, d, t | {k: v * np.float32(np.nan) for k, v in t.items() if k.endswith("mean")})


def _double(d, t, path):
    put(path, d, {k: v.astype(float) if k.endswith(".shown") else v for k, v in t.items()})


def _few_features(d, t, path):
    put(path, d, {k: v[..., :9] if k.endswith((".shown", ".others")) else v for k, v in t.items()})


def _large_thumbnail(d, t, path):
    put(path, d, t | {"objects.0.views.0.thumbnail": np.zeros((500, 9, 3), np.uint8)})


def _flat_thumbnail(d, t, path):
    put(path, d, t | {"objects.0.views.0.thumbnail": np.zeros((9, 9), np.uint8)})


def _cut(d, t, path):
    path.write_bytes(path.read_bytes()[:-100])


def _cut_in_header(d, t, path):
    path.write_bytes(path.read_bytes()[:300])


def _empty(d, t, path):
    path.write_bytes(b"")


def _huge_header(d, t, path):
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")


def _pickle(d, t, path):
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")


def _deep(d, t, path):
    path.write_bytes(struct.pack("<Q", 20000) + b"[" * 20000)


BREAKS = [
    value for name, value in list(globals().items()) if name.startswith("_") and callable(value) and value.__module__ == __name__
]


@pytest.mark.parametrize("spoil", BREAKS, ids=lambda spoil: spoil.__name__[1:])
def test_a_broken_file_is_refused_in_one_line(path: Path, spoil: Callable[[dict, dict, Path], None]) -> None:
    spoil(*parts(path), path)
    with pytest.raises(InputError) as caught:
        read_library(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value) and caught.value.fix and len(str(caught.value)) < 600


def test_newer_formats_and_other_features_say_what_to_do(path: Path) -> None:
    described, tensors = parts(path)
    put(path, described | {"format": 2}, tensors)
    with pytest.raises(InputError, match=r"format 2, this version reads 1\. Fix: install a newer molmo-point"):
        read_library(path)
    put(path, described | {"features": "lite9-0123456789ab"}, tensors)
    with pytest.raises(InputError, match=r"'lite9-0123456789ab', not lite0-\w+\. Fix: teach its objects again"):
        read_library(path)


def test_bytes_that_were_changed_anywhere_never_do_more_than_refuse(path: Path) -> None:
    rng, data = np.random.default_rng(0), path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    for _ in range(60):
        spoiled = bytearray(data)
        for place in rng.integers(0, size + 8, rng.integers(1, 6)):
            spoiled[place] = rng.integers(256)
        path.write_bytes(spoiled)
        try:
            assert isinstance(read_library(path), Library)
        except InputError as error:
            assert "\n" not in str(error)


def test_several_files_are_merged_at_use(path: Path, mugs: Library) -> None:
    other = path.with_name("robot.taught")
    write_library(
        other,
        mugs.forgotten("spare mug").renamed("my mug", "the robot's mug").without_words("the robot's mug", "the red one of mine"),
    )
    assert read_libraries([path, other]).names == ("my mug", "spare mug", "the robot's mug")
    assert read_libraries([path, other]).title == "my objects+robot"
    with pytest.raises(InputError, match=r"^taught must name a library"):
        read_libraries([])


def test_a_full_disk_leaves_the_file_as_it_was(path: Path, mugs: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device"):
        write_library(path, read_library(path).forgotten("my mug"))
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_two_that_change_one_file_lose_nothing_of_one_another(path: Path) -> None:
    one, other = read_library(path), read_library(path)
    write_library(path, one.renamed("my mug", "tea cup"))
    write_library(path, other.with_alias("spare mug", "the green one"))
    found = read_library(path)
    assert found.names == ("spare mug", "tea cup") and found.find("the green one").name == "spare mug"
    assert set(found.heads) == {"spare mug", "tea cup"}


def test_two_that_change_one_object_are_told(path: Path) -> None:
    one, other = read_library(path), read_library(path)
    written = write_library(path, one.with_alias("my mug", "cup"))
    with pytest.raises(InputError, match=r"^object must not have changed in the file.*'my mug'.*read the library again"):
        write_library(path, other.with_alias("my mug", "beaker"))
    with pytest.raises(InputError, match=r"^object must not have changed"):
        write_library(path, replace(other.forgotten("my mug")))
    assert write_library(path, written.forgotten("my mug")).names == ("spare mug",)
    assert read_library(path).names == ("spare mug",)


def test_a_new_library_does_not_overwrite_one_that_is_there(path: Path) -> None:
    assert set(change_library(path, lambda library: library.forgotten("my mug")).names) == {"spare mug"}
    assert write_library(path, Library.empty()).names == ("spare mug",)


def test_a_file_of_another_kind_is_not_overwritten(tmp_path: Path, mugs: Library) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes")
    with pytest.raises(InputError, match=r"^file must be a library of taught objects"):
        write_library(notes, mugs)
    assert notes.read_text() == "my notes"
