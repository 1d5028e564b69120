"""`TaughtLayer`: a library file in use above a model, as it is now, for programs that run while objects are taught."""

import threading
from collections.abc import Callable
from pathlib import Path

from molmo_point.backend import Backend
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.files import check_writable
from molmo_point.model.taught.layered_backend import LayeredBackend
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.library_file import read_library, write_library
from molmo_point.model.taught.taught_backend import TaughtBackend
from molmo_point.pointer import Pointer

_Stamp = tuple[int, int, int] | None
"""Inode, size and time of the last change of a file; None without one."""


class TaughtLayer:
    """Taught objects above a model. Changes of the file by this or another program hold from the next question on.

    Safe to use from several threads.

    Args:
        below: The model that answers about all other words.
        path: File of the library; one that does not exist is made by the first object. None keeps objects in memory.
        on_error: Called once for each state of the file that cannot be read; the objects before it stay in use.

    Raises:
        InputError: The file cannot be used.
    """

    def __init__(self, below: Backend, path: Path | None, on_error: Callable[[str], object] = print) -> None:
        self.below, self.path, self._on_error = below, path, on_error
        self._lock = threading.RLock()
        self._taught = TaughtBackend(Library.empty())
        self._stamp: _Stamp = None
        self._use(self._taught.library, None)
        self.refresh()

    def refresh(self) -> Library:
        """Return the library as its file is now.

        Raises:
            InputError: The file cannot be used.
        """
        with self._lock:
            stamp = self._file_stamp()
            if stamp != self._stamp:
                library = Library.empty() if stamp is None or self.path is None else read_library(self.path)
                self._use(library, stamp)
            return self._taught.library

    @property
    def pointer(self) -> Pointer:
        """Pointer with the taught objects of now; it keeps them."""
        with self._lock:
            try:
                self.refresh()
            except MolmoPointError as error:
                # Told once: the objects before it stay in use until the file changes again.
                self._stamp = self._file_stamp()
                self._on_error(str(error))
            return self._pointer

    def commit(self, library: Library) -> Library:
        """Write a changed library, and use it from the next question on; objects that others taught meanwhile are kept.

        Raises:
            InputError: The file cannot be written, or another program changed the same object; all is as before.
        """
        with self._lock:
            written = library if self.path is None else write_library(self.path, library)
            self._use(written, self._file_stamp())
            return written

    def forget(self, name: str) -> Library:
        """Forget an object; errors as `commit`, and InputError for an unknown name."""
        with self._lock:
            return self.commit(self.refresh().forgotten(name))

    def check_writable(self) -> None:
        """Refuse a file that cannot be written, before a person shows anything.

        Raises:
            InputError: The reason.
        """
        if self.path is not None:
            check_writable(self.path)

    def _file_stamp(self) -> _Stamp:
        if self.path is None:
            return self._stamp
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(
                "taught must name a file that can be read", f"{self.path} ({error.strerror})", "check the path"
            ) from error
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _use(self, library: Library, stamp: _Stamp) -> None:
        self._taught, self._stamp = self._taught.with_library(library), stamp
        self._pointer = Pointer(LayeredBackend(self._taught, self.below))
