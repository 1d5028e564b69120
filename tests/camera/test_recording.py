"""Recordings: exact round trips, replay, and broken files that are named."""

import contextlib
import dataclasses
import gc
import itertools
import json
import shutil
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.camera import recording as recording_module
from molmo_point.camera.base import Camera
from molmo_point.camera.recording import MANIFEST, Recording, RecordingWriter
from molmo_point.errors import CameraError, InputError
from molmo_point.files import write_file
from molmo_point.frame import RgbdFrame, decode_depth
from molmo_point.geometry.depth_noise import D455, DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics

INTRINSICS = Intrinsics(32, 24, 30.25, 30.5, 15.1, 11.9, "brown_conrady", (0.1, -0.02, 1e-3, -2e-3, 0.003))
STEP_NS = 40_000_000


def make_frame(number: int = 0, seed: int = 0) -> RgbdFrame:
    rng = np.random.default_rng(seed + number)
    raw = rng.integers(0, 4000, (24, 32), dtype=np.uint16)
    return RgbdFrame(
        color=rng.integers(0, 255, (24, 32, 3), dtype=np.uint8),
        depth_m=decode_depth(raw),
        intrinsics=INTRINSICS,
        stamp_ns=1_700_000_000_123_456_789 + number * STEP_NS,
        frame="left_optical",
        depth_stamp_ns=1_700_000_000_123_456_000 + number * STEP_NS,
        depth_noise=D455,
    )


def record(path: Path, count: int = 3, **options: object) -> list[RgbdFrame]:
    frames = [make_frame(number) for number in range(count)]
    with RecordingWriter(path, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return frames


def assert_same(found: RgbdFrame, expected: RgbdFrame) -> None:
    for field in dataclasses.fields(RgbdFrame):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(b, np.ndarray):
            assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=b.dtype != np.uint8), field.name
        else:
            assert a == b, field.name


@pytest.mark.parametrize("name", ["folder", "file.zip"])
@pytest.mark.parametrize("unit_m", [0.001, None])
def test_millimetre_depth_and_everything_else_comes_back_bit_for_bit(tmp_path: Path, name: str, unit_m) -> None:
    frames = record(tmp_path / name, depth_unit_m=unit_m)
    with Recording(tmp_path / name) as recording:
        assert isinstance(recording, Camera) and len(recording) == 3
        for frame in frames:
            assert_same(recording.read(), frame)
        with pytest.raises(CameraError, match="at its end"):
            recording.read()


def test_depth_png_is_exact_to_half_its_unit_and_npy_is_bit_exact(tmp_path: Path) -> None:
    depth = np.random.default_rng(0).uniform(0.2, 4.0, (24, 32)).astype(np.float32)
    depth[0, 0] = np.nan
    frame = dataclasses.replace(make_frame(), depth_m=depth)
    for name, unit_m, tolerance in (("a", 0.001, 0.5e-3), ("b", 0.0001, 0.5e-4), ("c", None, 0.0)):
        with RecordingWriter(tmp_path / name, depth_unit_m=unit_m) as writer:
            writer.write(frame)
        found = Recording(tmp_path / name)[0].depth_m
        assert np.nanmax(np.abs(found.astype(float) - depth)) <= tolerance + 1e-6 * (tolerance > 0)
        assert np.isnan(found[0, 0]) and np.isnan(found).sum() == 1


def test_colour_keeps_its_channel_order(tmp_path: Path) -> None:
    red = np.zeros((24, 32, 3), np.uint8)
    red[..., 0] = 200
    with RecordingWriter(tmp_path / "r") as writer:
        writer.write(dataclasses.replace(make_frame(), color=red))
    from PIL import Image

    assert Image.open(tmp_path / "r" / "000000_color.png").getpixel((3, 3)) == (200, 0, 0)
    assert np.array_equal(Recording(tmp_path / "r")[0].color, red)


def test_frames_without_depth_and_intrinsics(tmp_path: Path) -> None:
    bare = RgbdFrame(color=make_frame().color, depth_m=None, intrinsics=None, stamp_ns=7)
    with RecordingWriter(tmp_path / "r") as writer:
        writer.write(bare)
    assert_same(Recording(tmp_path / "r").read(), bare)


def test_depth_that_would_be_lost_is_refused(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r", depth_unit_m=0.0001)
    far = np.full((24, 32), 7.0, np.float32)
    with pytest.raises(InputError, match="7 m"):
        writer.write(dataclasses.replace(make_frame(), depth_m=far))


def test_loop_goes_on_with_growing_stamps(tmp_path: Path) -> None:
    record(tmp_path / "r")
    recording = Recording(tmp_path / "r", loop=True)
    frames = [recording.read() for _ in range(7)]
    assert {b.stamp_ns - a.stamp_ns for a, b in itertools.pairwise(frames)} == {STEP_NS}
    assert {frame.depth_stamp_ns - frame.stamp_ns for frame in frames} == {-789}
    assert np.array_equal(frames[4].color, frames[1].color)


def test_one_frame_in_a_loop_does_not_flood(tmp_path: Path) -> None:
    record(tmp_path / "r", count=1)
    recording = Recording(tmp_path / "r", realtime=True, loop=True)
    first, second = recording.read(), recording.read()
    assert second.stamp_ns - first.stamp_ns == 100_000_000
    with pytest.raises(CameraError, match="in time"):
        recording.read(timeout_s=0.01)
    assert recording.read().stamp_ns - second.stamp_ns == 100_000_000, "a frame that was not due is not lost"


def test_replayed_frames_can_be_stamped_with_the_time_of_now(tmp_path: Path) -> None:
    record(tmp_path / "r")
    with Recording(tmp_path / "r").stamped_by(lambda: 5_000) as camera:
        frame = camera.read()
    assert (frame.stamp_ns, frame.depth_stamp_ns) == (5_000, 5_000 - 789)
    with pytest.raises(CameraError, match="closed"):
        camera.read()


def test_replay_at_the_recorded_rate(tmp_path: Path) -> None:
    record(tmp_path / "r")
    recording = Recording(tmp_path / "r", realtime=True)
    start = time.monotonic()
    for _ in range(3):
        recording.read()
    assert 2 * STEP_NS * 1e-9 - 0.005 < time.monotonic() - start < 1.0
    waiting = Recording(tmp_path / "r", realtime=True)
    waiting.read()
    with pytest.raises(CameraError, match="in time"):
        waiting.read(timeout_s=0.001)


def test_a_crashed_recording_replays_what_its_manifest_knows(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r")
    for number in range(4):
        writer.write(make_frame(number))
    assert len(Recording(tmp_path / "r")) >= 1
    writer.close()
    assert len(Recording(tmp_path / "r")) == 4
    assert not [path for path in (tmp_path / "r").iterdir() if path.name.startswith(".")]


def test_existing_recordings_are_never_overwritten(tmp_path: Path) -> None:
    for name in ("r", "r.zip"):
        record(tmp_path / name)
        with pytest.raises(InputError, match="overwrite"):
            RecordingWriter(tmp_path / name)


@pytest.mark.parametrize("name", ["r", "r.zip", "R.ZIP"])
def test_one_writer_records_at_a_time(tmp_path: Path, name: str) -> None:
    with RecordingWriter(tmp_path / name) as writer:
        with pytest.raises(InputError, match=name):
            RecordingWriter(tmp_path / name)
        writer.write(make_frame())
        with pytest.raises(InputError, match=name):
            RecordingWriter(tmp_path / name)
    assert_same(Recording(tmp_path / name).read(), make_frame())


def test_the_lock_of_a_writer_ends_with_it(tmp_path: Path) -> None:
    program = "import sys, os; from molmo_point import RecordingWriter; w = RecordingWriter(sys.argv[1]); os._exit(1)"
    subprocess.run([sys.executable, "-c", program, tmp_path / "r"], check=False, timeout=60)
    with RecordingWriter(tmp_path / "r") as writer:
        writer.write(make_frame())
    with pytest.raises(InputError, match="overwrite"):
        RecordingWriter(tmp_path / "r")


def test_foreign_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "000000_color.png").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "link.zip").symlink_to("nowhere.zip")
    for name in ("r", "file", "link.zip"):
        with pytest.raises(InputError, match="overwrite"):
            RecordingWriter(tmp_path / name)
    assert (tmp_path / "r" / "000000_color.png").read_bytes() == b"mine"
    assert (tmp_path / "link.zip").is_symlink()
    (tmp_path / "r" / "000000_color.png").rename(tmp_path / "r" / "notes.txt")
    record(tmp_path / "r")


@pytest.mark.parametrize("count", [1, 4, 32])
@pytest.mark.parametrize("name", ["r", "r.zip"])
def test_an_interrupted_recording_replays_every_frame(
    tmp_path: Path, name: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    writer = RecordingWriter(tmp_path / name)
    for number in range(count):
        writer.write(make_frame(number))
    copy = tmp_path / f"copy{Path(name).suffix}"
    (shutil.copytree if name == "r" else shutil.copy)(tmp_path / name, copy)
    with Recording(copy) as recording:
        assert len(recording) == count
        assert recording.complete == (name == "r" and count == 1)
        assert ("was interrupted" in caplog.text) != recording.complete
        for number in {0, count // 2, count - 1}:
            assert_same(recording[number], make_frame(number))
    writer.close()
    with Recording(tmp_path / name) as recording:
        assert len(recording) == count
        assert recording.complete
    if name == "r":
        assert len(list((tmp_path / name).iterdir())) == 2 * count + 1


def test_a_zip_cut_anywhere_replays_up_to_the_break(tmp_path: Path) -> None:
    record(tmp_path / "r.zip", count=3)
    data = (tmp_path / "r.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        ends = [archive.getinfo(f"{number:06d}_frame.json") for number in range(3)]
        complete = [info.header_offset + 30 + len(info.filename) + info.file_size for info in ends]
    for cut in range(complete[0], len(data), 501):
        path = tmp_path / "cut.zip"
        path.write_bytes(data[:cut])
        with Recording(path) as recording:
            assert not recording.complete
            assert len(recording) == sum(end <= cut for end in complete)
            for number in range(len(recording)):
                assert_same(recording[number], make_frame(number))
    (tmp_path / "cut.zip").write_bytes(data[: complete[0] - 1])
    with pytest.raises(InputError, match=r"cut\.zip"):
        Recording(tmp_path / "cut.zip")


@pytest.mark.parametrize("name", ["r", "r.zip"])
def test_a_full_disk_keeps_the_frames_before(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    written = 0
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, limits[1]))
    try:
        writer = RecordingWriter(tmp_path / name)
        if name == "r":
            # Files of a folder stay small, so its disk is made full by hand.
            monkeypatch.setattr(recording_module, "write_file", full_after(5))
        with pytest.raises(InputError, match="writable"):
            for number in range(40):
                writer.write(make_frame(number))
                written += 1
        with contextlib.suppress(InputError):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written
    with Recording(tmp_path / name) as recording:
        assert len(recording) == written
        for number in range(written):
            assert_same(recording[number], make_frame(number))


def full_after(count: int) -> Callable[..., None]:
    left = itertools.count(count, -1)

    def write(path: Path, data: bytes, *, sync: bool = True) -> None:
        if next(left) <= 0:
            raise InputError("The file must be writable", f"{path} (No space left on device)", "free space")
        write_file(path, data, sync=sync)

    return write


def test_a_zip_goes_on_when_there_is_space_again(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RecordingWriter(tmp_path / "r.zip") as writer:
        writer.write(make_frame(0))
        size = (tmp_path / "r.zip").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
        try:
            with pytest.raises(InputError, match="File too large"):
                writer.write(make_frame(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / "r.zip").stat().st_size == size
        writer.write(make_frame(1))
    with Recording(tmp_path / "r.zip") as recording:
        assert recording.complete
        assert_same(recording[1], make_frame(1))


def bomb(path: Path, stated: int, kind: int = zipfile.ZIP_DEFLATED) -> None:
    """A manifest of 16 MiB of blanks that may state another size."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr(MANIFEST, b" " * (1 << 24))
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = stated.to_bytes(4, "little")
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("stated", [1 << 24, 1000])
def test_a_bomb_is_not_unpacked(tmp_path: Path, stated: int, kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb(tmp_path / "bomb.zip", stated, kind)
    monkeypatch.setattr(recording_module, "MAX_MANIFEST_BYTES", 1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"bomb\.zip"):
            Recording(tmp_path / "bomb.zip")
        assert tracemalloc.get_traced_memory()[1] < 1 << 21
    finally:
        tracemalloc.stop()


def test_a_manifest_of_its_own_that_lies_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "r", count=1)
    manifest = json.loads((tmp_path / "r" / MANIFEST).read_text())
    own = tmp_path / "r" / "000001_frame.json"
    for changes in ({"frames": []}, {"frames": manifest["frames"] * 2}, {"depth": {"encoding": "png16", "unit_m": 0.1}}):
        own.write_text(json.dumps({**manifest, **changes}))
        with pytest.raises(InputError, match="another recording"):
            Recording(tmp_path / "r")


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(data[: len(data) * 2 // 3])
    elif kind == "garbage":
        path.write_bytes(b"not what it says" * 20)
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()


@pytest.mark.parametrize("kind", ["truncated", "garbage", "empty", "missing"])
@pytest.mark.parametrize("member", ["000001_color.png", "000001_depth.png", "000001_depth.npy", MANIFEST])
def test_a_broken_file_is_one_error_that_names_it(tmp_path: Path, member: str, kind: str) -> None:
    record(tmp_path / "r", depth_unit_m=None if member.endswith(".npy") else 0.001)
    damage(tmp_path / "r" / member, kind)
    with pytest.raises(InputError) as caught:
        Recording(tmp_path / "r")[1]
    assert member in str(caught.value)


@pytest.mark.parametrize("kind", ["garbage", "empty", "missing"])
def test_a_broken_zip_is_named(tmp_path: Path, kind: str) -> None:
    record(tmp_path / "r.zip")
    damage(tmp_path / "r.zip", kind)
    with pytest.raises(InputError, match=r"r\.zip"):
        Recording(tmp_path / "r.zip")


def test_flipped_bytes_inside_a_zip_are_noticed(tmp_path: Path) -> None:
    record(tmp_path / "r.zip")
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        offset = archive.getinfo("000001_color.png").header_offset
    data = bytearray((tmp_path / "r.zip").read_bytes())
    data[offset + 300] ^= 0xFF
    (tmp_path / "r.zip").write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"r\.zip!000001_color\.png"):
        Recording(tmp_path / "r.zip")[1]


def edited(path: Path, **changes: object) -> Path:
    manifest = json.loads((path / MANIFEST).read_text())
    manifest.update(changes)
    (path / MANIFEST).write_text(json.dumps(manifest))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "version of a recording"),
        ({"format": "something else"}, "manifest of a recording"),
        ({"frames": []}, "at least one frame"),
        ({"frames": [{"color": "../../etc/passwd", "stamp_ns": 1, "frame": "f"}]}, "manifest of a recording"),
        ({"frames": [{"color": "a.png", "stamp_ns": "now", "frame": "f"}]}, "manifest of a recording"),
        ({"frames": 3}, "manifest of a recording"),
        ({"depth": {"encoding": "png16", "unit_m": -1}}, "manifest of a recording"),
        ({"depth": {"encoding": "png16", "unit_m": "0.001"}}, "manifest of a recording"),
        ({"depth": {"encoding": "png16", "unit_m": True}}, "manifest of a recording"),
        ({"depth": {"encoding": "png16", "unit_m": float("inf")}}, "manifest of a recording"),
        ({"depth": [1]}, "manifest of a recording"),
        ({"depth": {"encoding": "png16"}}, "manifest of a recording"),
        ({"depth": {"encoding": "png16", "unit_M": 0.0001}}, "manifest of a recording"),
        ({"depth": {"encoding": "png16", "unit_m": 0.001, "scale": 0.1}}, "manifest of a recording"),
        ({"depth": {"encoding": "npy", "unit_m": 0.001}}, "manifest of a recording"),
        ({"depth": {"encoding": "png8", "unit_m": 0.001}}, "manifest of a recording"),
        ({"unit_m": 0.001}, "manifest of a recording"),
        ({"frames": [{"color": "0_color.png", "depth": "1_depth.png", "stamp_ns": 1, "frame": "f"}]}, "manifest of a recording"),
        ({"frames": [{"color": "0_color.png", "Depth": "0_depth.png", "stamp_ns": 1, "frame": "f"}]}, "manifest of a recording"),
        ({"version": True}, "manifest of a recording"),
        ({"frames": [{"color": "a\0b", "stamp_ns": 1, "frame": "f"}]}, "manifest of a recording"),
        ({"frames": [{"color": "a.png", "stamp_ns": True, "frame": "f"}]}, "manifest of a recording"),
        ({"deep": json.loads("[" * 40 + "]" * 40)}, "nested"),
    ],
)
def test_manifests_that_are_not_ours_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    record(tmp_path / "r")
    with pytest.raises(InputError, match=message) as caught:
        Recording(edited(tmp_path / "r", **changes))
    assert MANIFEST in str(caught.value)


@pytest.mark.parametrize("member", ["000000_color.png", "000000_depth.png"])
@pytest.mark.parametrize("orientation", [2, 3, 6])
def test_a_recorded_image_that_asks_to_be_turned_is_refused(tmp_path: Path, member: str, orientation: int) -> None:
    record(tmp_path / "r", count=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(tmp_path / "r" / member) as image:
        image.save(tmp_path / "r" / member, exif=exif)
    with pytest.raises(InputError, match=f"{member}: orientation {orientation}"):
        Recording(tmp_path / "r")[0]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_two_members_of_one_name_is_refused(tmp_path: Path, finished: bool) -> None:
    path = tmp_path / "r.zip"
    record(path, count=2)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("000000_depth.png", archive.read("000001_depth.png"))
        end = archive.start_dir
    if not finished:
        path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(InputError, match="must be a recording"):
        Recording(path)


def test_a_zip_that_lists_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "r.zip", count=20)
    monkeypatch.setattr("molmo_point.camera.zip_members._MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(InputError, match="a directory of more than"):
        Recording(tmp_path / "r.zip")


def test_a_writer_that_is_dropped_lets_others_record(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r")
    del writer
    gc.collect()
    record(tmp_path / "r", count=1)


def test_noise_of_version_1_replays(tmp_path: Path) -> None:
    record(tmp_path / "r", 1)
    manifest = json.loads((tmp_path / "r/manifest.json").read_text())
    manifest["version"] = 1
    manifest["frames"][0]["depth_noise"] = {"baseline_m": 0.05, "sigma_disparity_px": 0.08, "focal_px": 425.0}
    (tmp_path / "r/manifest.json").write_text(json.dumps(manifest))
    with Recording(tmp_path / "r") as recording:
        assert recording[0].depth_noise == DepthNoise(0.05, 0.08, 425.0)
