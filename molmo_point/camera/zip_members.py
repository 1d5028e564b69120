"""Members of a zip file: written so that a full disk loses none, read even if the file breaks off."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from molmo_point.errors import InputError
from molmo_point.files import MAX_FILE_BYTES, open_file

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED_OR_UNSIZED = 0x9
_MAX_DIRECTORY_BYTES = 24 * 2**20
"""About 350 000 members, which take some seconds to list."""
_MAX_STORED_MEMBERS = 500_000


class _TooManyError(Exception):
    """The directory of a zip file lists more members than any recording has."""


class _WholeWrites(io.FileIO):
    """A file that writes all bytes or raises; a buffered one would try again what did not fit."""

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        while left:
            left = left[super().write(left) :]
        return len(data)


class _BoundedReads:
    """The part of a file that `zipfile` uses, with bounded reads: it reads a directory at once."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.seekable, self._file = file.seek, file.tell, file.seekable, file
        self.limit_bytes = _MAX_DIRECTORY_BYTES

    def read(self, size: int = -1) -> bytes:
        if size > self.limit_bytes:
            raise _TooManyError
        return self._file.read(size)


class ZipWriter:
    """Writer of a new zip file. After an error the members before it stay, and writing may go on.

    Args:
        path: A file that does not exist.

    Raises:
        OSError: The file exists or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._file = _WholeWrites(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "r+")
        self._zip = zipfile.ZipFile(self._file, "w")

    def write(self, members: Mapping[str, bytes]) -> None:
        """Add all members or, after an error, none.

        Raises:
            OSError: The disk refuses.
        """
        count, start = len(self._zip.filelist), self._zip.start_dir
        try:
            for name, data in members.items():
                self._zip.writestr(name, data)
        except BaseException:
            for member in self._zip.filelist[count:]:
                self._zip.NameToInfo.pop(member.filename, None)
            del self._zip.filelist[count:]
            self._zip.start_dir = start
            self._file.seek(start)
            self._file.truncate()
            raise

    def close(self) -> None:
        """Write the directory of the zip file. After an error the members stay readable, see `ZipReader`.

        Raises:
            OSError: The disk refuses.
        """
        start = self._zip.start_dir
        try:
            self._zip.close()
            os.fsync(self._file.fileno())
        except OSError:
            self._zip.fp = None
            self._file.truncate(start)
            raise
        finally:
            self._file.close()


class ZipReader:
    """Reader of the members of a zip file, in any compression; of a file without directory those that are stored whole.

    Args:
        path: The file.

    Attributes:
        complete: False if the file breaks off.
        names: Names of the members.

    Raises:
        InputError: The path is no regular file, or no zip file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_file(path)
        self._stored: dict[str, tuple[int, int, int]] = {}
        self._zip: zipfile.ZipFile | None = None
        reads: Any = _BoundedReads(self._file)
        wrong = "no member"
        try:
            self._zip = zipfile.ZipFile(reads)
            reads.limit_bytes = MAX_FILE_BYTES
            listed = self._zip.namelist()
            self.names = set(listed)
            if len(self.names) < len(listed):
                # Which one of two members is meant cannot be told.
                wrong, self.names = "two members of one name", set()
        except _TooManyError:
            wrong, self.names = f"a directory of more than {_MAX_DIRECTORY_BYTES // 2**20} MiB", set()
        except Exception:  # zipfile raises many kinds for a damaged archive
            self._stored = _stored_members(self._file)
            self.names = set(self._stored)
        self.complete = self._zip is not None
        if not self.names:
            self.close()
            raise InputError("The file must be a recording", f"{path} ({wrong})", "give a folder or a .zip of a recording")

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Read a member.

        Raises:
            InputError: The member is missing, damaged, or larger than the limit.
        """
        try:
            size = self._zip.getinfo(name).file_size if self._zip is not None else self._stored[name][1]
            if size > limit_bytes:
                raise ValueError(f"{size / 2**20:.0f} MiB, more than {limit_bytes / 2**20:g} MiB")
            return self._unpacked(self._zip, name, size) if self._zip is not None else self._stored_data(name)
        except Exception as error:  # zipfile raises many kinds for a damaged archive
            reason = "missing" if isinstance(error, KeyError) else error
            given = f"{self.path}!{name} ({reason})"
            raise InputError("The files of a recording must be readable", given, "record again") from error

    @staticmethod
    def _unpacked(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
        if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("neither stored nor deflated")
        with archive.open(name) as member:
            # A bomb states less than it unpacks; only this much is unpacked, and the checksum then fails.
            data = member.read(size)
            if member.read(1):
                raise ValueError("larger than it states")
        return data

    def _stored_data(self, name: str) -> bytes:
        start, size, checksum = self._stored[name]
        self._file.seek(start)
        data = self._file.read(size)
        if zlib.crc32(data) != checksum:
            raise ValueError("wrong checksum")
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _stored_members(file: BinaryIO) -> dict[str, tuple[int, int, int]]:
    """Return place, size and checksum of the stored members at the start of a zip file, up to the break.

    A second member of a name, or too many, make it no recording.
    """
    members: dict[str, tuple[int, int, int]] = {}
    end, start = file.seek(0, io.SEEK_END), 0
    while len(members) < _MAX_STORED_MEMBERS:
        file.seek(start)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_SIGNATURE):
            return members
        _, _, flags, method, _, _, checksum, packed, size, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        name = file.read(name_length).decode("utf-8", "replace")
        start += _LOCAL_HEADER.size + name_length + extra_length
        if method or flags & _ENCRYPTED_OR_UNSIZED or packed != size or start + size > end:
            return members
        if name in members:
            break
        members[name] = (start, size, checksum)
        start += size
    return {}
