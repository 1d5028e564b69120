"""Files are read and written whole: what is no regular file, too large, or a promise of too much, is refused at once."""

import io
import os
import socket
import stat
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point import InputError
from molmo_point.files import (
    check_writable,
    decode_image,
    decode_npy,
    encode_png,
    open_file,
    read_file,
    write_file,
    written_whole,
)


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "file") == read_file(tmp_path / "link") == b"abc"
    assert read_file("/proc/self/status").startswith(b"Name:"), "such a file states that it is empty"


@pytest.fixture(params=["fifo", "link_to_fifo", "folder", "socket", "device", "missing", "dangling"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "path"
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "link_to_fifo":
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to("fifo")
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "dangling":
        path.symlink_to("nowhere")
    return path


def test_no_regular_file_is_refused_without_waiting(no_file: Path) -> None:
    for read in (read_file, open_file):
        with pytest.raises(InputError):
            read(no_file)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, ""])
def test_a_path_that_no_disk_takes_is_refused(path: str) -> None:
    for use in (read_file, open_file, check_writable, lambda path: write_file(path, b"")):
        with pytest.raises(InputError):
            use(path)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="at most 512 MiB"):
        read_file(tmp_path / "sparse")
    with pytest.raises(InputError, match="MiB"):
        read_file("/proc/self/status", 10)
    with open_file(tmp_path / "sparse") as file:
        assert file.read(2) == b"\0\0"


def test_a_file_is_written_whole_with_the_usual_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    mask = os.umask(0o027)
    try:
        write_file(path, b"one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        write_file(path, b"two")
    finally:
        os.umask(mask)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "a file keeps its permissions"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_write_leaves_the_file_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(error), written_whole(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    path.write_bytes(b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InputError, match="File too large"):
            write_file(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_but_a_regular_file_is_replaced(no_file: Path) -> None:
    if not os.path.lexists(no_file):
        no_file.mkdir()
    before = os.lstat(no_file)
    for write in (lambda: write_file(no_file, b"x"), lambda: check_writable(no_file)):
        with pytest.raises(InputError, match="regular one or new"):
            write()
    assert os.lstat(no_file).st_ino == before.st_ino


def test_a_link_that_appears_while_writing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(InputError, match="a link"), written_whole(path) as temporary:
        temporary.write_bytes(b"x")
        path.symlink_to("elsewhere")
    assert path.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder does not exist"):
        write_file(tmp_path / "no" / "file", b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError):
        write_file(tmp_path / "file" / "file", b"")


def test_two_writers_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 100_000 for number in range(4)]
    threads = [threading.Thread(target=write_file, args=(path, data)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header alone promises a size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return encode_png(np.zeros((4, 4, 3), np.uint8))[:8] + chunk + encode_png(np.zeros((4, 4, 3), np.uint8))[33:]


@pytest.mark.parametrize("size", [(20_000, 20_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)])
def test_a_picture_that_promises_too_many_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="complete image"):
        decode_image(png_of_size(*size), "bomb.png")


def test_a_picture_that_a_program_would_draw_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "EPS")
    with pytest.raises(InputError, match="complete image"):
        decode_image(buffer.getvalue(), "drawn.eps")


@pytest.mark.parametrize("depth", [False, True])
def test_a_picture_with_one_wrong_bit_is_refused(depth: bool) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 4000, (24, 32)).astype(np.uint16) if depth else rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
    data = encode_png(pixels)
    np.testing.assert_array_equal(decode_image(data, "whole.png", depth=depth), pixels)
    for place in range(40, len(data) - 20, 97):
        wrong = bytearray(data)
        wrong[place] ^= 4
        with pytest.raises(InputError, match="complete image"):
            decode_image(bytes(wrong), "wrong.png", depth=depth)


def npy(array: np.ndarray, header: str | None = None) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    if header is None:
        return buffer.getvalue()
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 64


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "<f4", "f8", "?"])
def test_arrays_are_decoded(order: str, dtype: str) -> None:
    array = np.asarray(np.arange(12).reshape(3, 4).astype(dtype), order=order)  # type: ignore[arg-type]
    decoded = decode_npy(npy(array), "array.npy")
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10**30,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (17,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}{",
    ],
)
def test_an_array_that_promises_too_much_is_refused(header: str) -> None:
    with pytest.raises(InputError, match=r"bomb\.npy"):
        decode_npy(npy(np.zeros(0), header), "bomb.npy")
