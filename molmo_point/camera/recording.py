"""Recordings of RGB-D frames: a folder or a zip file that replays as a camera.

Layout: `manifest.json` (format, version, encoding of depth, one entry per frame), one color PNG and one depth file per
frame. Color is exact. Depth is exact to the stated unit in a 16-bit PNG, and bit-exact in `.npy`. Frames that are not yet
in the manifest have a manifest of their own, `000000_frame.json`, written last.
"""

import contextlib
import dataclasses
import json
import logging
import math
import os
import weakref
from pathlib import Path
from typing import Any

from molmo_point.camera.base import Closing
from molmo_point.camera.image_file import decode_frame, encode_depth
from molmo_point.camera.replay import Replay
from molmo_point.camera.zip_members import ZipReader, ZipWriter
from molmo_point.errors import CameraError, InputError, printable
from molmo_point.files import MAX_FILE_BYTES, encode_png, read_file, write_file
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.mapping_file import parse_json

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

FORMAT = "molmo-point recording"
VERSION = 2
"""Version 1 has three values of `depth_noise`."""
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 128 * 2**20
"""About 200 000 frames."""
_MANIFEST_EVERY = 30
_NAMES = (MANIFEST, "[0-9]*_color.png", "[0-9]*_depth.*", "[0-9]*_frame.json")
_MANIFEST_KEYS = {"format", "version", "depth", "frames"}
_ENTRY_KEYS = {"color", "depth", "stamp_ns", "depth_stamp_ns", "frame", "intrinsics", "depth_noise", "rotate_deg"}
_NO_MANIFEST = "The file must be the manifest of a recording"
_LOG = logging.getLogger(__name__)


class RecordingWriter(Closing):
    """Writes frames to a folder, or to a zip file if the path ends in `.zip`.

    An interrupted recording, or one on a full disk, replays all frames that were written. Only one writer may record to a
    path; its lock ends with it.

    Args:
        path: A folder, made if missing, that holds no recording; or a `.zip` file that does not exist.
        depth_unit_m: Meters per unit of the 16-bit depth PNGs; None stores depth as float32 `.npy`, bit-exact.

    Raises:
        InputError: Something exists at `path`, another writer records there, or the unit is not positive.
    """

    def __init__(self, path: str | Path, *, depth_unit_m: float | None = 0.001) -> None:
        if depth_unit_m is not None and not 0 < depth_unit_m < math.inf:
            raise InputError("depth_unit_m must be positive", str(depth_unit_m), "give 0.001 for millimeters")
        self.path = Path(path)
        self._unit_m = depth_unit_m
        self._entries: list[dict[str, Any]] = []
        self._listed = 0
        self._zip: ZipWriter | None = None
        self._lock: weakref.finalize | None = None
        self._closed = False
        try:
            if self.path.suffix.lower() == ".zip":
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._zip = ZipWriter(self.path)
            else:
                self._begin_folder()
        except InputError:
            raise
        except FileExistsError as error:
            fix = "choose a new path, or remove the recording"
            raise InputError("A recording must not overwrite a file", str(self.path), fix) from error
        except (OSError, ValueError) as error:
            raise InputError("The path must be writable", f"{self.path} ({error})", "choose another path") from error

    def _begin_folder(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        if fcntl is not None:
            folder = os.open(self.path, os.O_RDONLY)
            # A writer that is dropped without `close` must not keep others out.
            self._lock = weakref.finalize(self, os.close, folder)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._unlock()
                raise InputError("A recording must have one writer", str(self.path), "choose another path") from error
            except OSError:
                _LOG.warning("%s cannot be locked: let only one program record there", printable(str(self.path)))
        if any(next(self.path.glob(name), None) for name in _NAMES):
            self._unlock()
            raise FileExistsError

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock()
            self._lock = None

    def write(self, frame: RgbdFrame) -> None:
        """Add one frame.

        Raises:
            InputError: A depth does not fit into 16 bits of the chosen unit, or the disk refuses. The frames before stay.
            CameraError: The writer is closed.
        """
        if self._closed:
            raise CameraError("The recording is closed", str(self.path), "write before close()")
        number = len(self._entries)
        entry: dict[str, Any] = {"color": f"{number:06d}_color.png", "stamp_ns": frame.stamp_ns, "frame": frame.frame}
        members: dict[str, bytes] = {}
        if frame.depth_m is not None:
            entry["depth"] = f"{number:06d}_depth.{'npy' if self._unit_m is None else 'png'}"
            members[entry["depth"]] = encode_depth(frame.depth_m, self._unit_m)
        if frame.depth_stamp_ns is not None:
            entry["depth_stamp_ns"] = frame.depth_stamp_ns
        if frame.rotate_deg:
            entry["rotate_deg"] = frame.rotate_deg
        if frame.intrinsics is not None:
            entry["intrinsics"] = frame.intrinsics.to_dict()
        if frame.depth_noise is not None:
            entry["depth_noise"] = dataclasses.asdict(frame.depth_noise)
        members[entry["color"]] = encode_png(frame.color)
        # Written last: a frame that has its own manifest is complete.
        members[_own_manifest(number)] = self._manifest([entry])
        self._put(members)
        self._entries.append(entry)
        if self._zip is None and number % _MANIFEST_EVERY == 0:
            # Without it, the frames keep their own manifests.
            with contextlib.suppress(InputError):
                self._put_manifest()

    def _put(self, members: dict[str, bytes]) -> None:
        written = []
        try:
            if self._zip is not None:
                self._zip.write(members)
                return
            for name, data in members.items():
                written.append(self.path / name)
                write_file(self.path / name, data, sync=False)
        except (InputError, OSError) as error:
            for path in written:
                path.unlink(missing_ok=True)
            given = f"{self.path} ({error.strerror if isinstance(error, OSError) else error.given})"
            fix = "free space and go on; the frames before are kept"
            raise InputError("The recording must be writable", given, fix) from error

    def _manifest(self, entries: list[dict[str, Any]]) -> bytes:
        depth = {"encoding": "npy"} if self._unit_m is None else {"encoding": "png16", "unit_m": self._unit_m}
        return json.dumps({"format": FORMAT, "version": VERSION, "depth": depth, "frames": entries}, indent=1).encode()

    def _put_manifest(self) -> None:
        """Write the manifest of all frames, and remove those of single frames from a folder."""
        data = self._manifest(self._entries)
        if self._zip is not None:
            self._zip.write({MANIFEST: data})
            return
        write_file(self.path / MANIFEST, data)
        for number in range(self._listed, len(self._entries)):
            (self.path / _own_manifest(number)).unlink(missing_ok=True)
        self._listed = len(self._entries)

    def close(self) -> None:
        """Write the manifest and finish the file. Closing twice is allowed.

        Raises:
            InputError: The disk refuses. The frames stay, and replay.
        """
        if self._closed:
            return
        self._closed = True
        try:
            try:
                self._put_manifest()
            finally:
                if self._zip is not None:
                    self._zip.close()
        except (InputError, OSError) as error:
            given = f"{self.path} ({error.strerror if isinstance(error, OSError) else error.given})"
            fix = "free space before the next recording; all frames of this one are kept"
            raise InputError("The end of the recording must be writable", given, fix) from error
        finally:
            self._unlock()


class Recording(Replay):
    """A recording as a camera.

    Args:
        recording: Path of what `RecordingWriter` wrote: a folder, its `manifest.json`, or a zip file.
        realtime: Hand frames out at the rate at which they were captured; otherwise as fast as they are read.
        loop: Start again at the end. Stamps then keep growing, by the length of the recording for each round.

    Attributes:
        complete: False if the recording was interrupted; the frames before that replay.

    Raises:
        InputError: The path holds no recording, one of a newer version, or an empty one; the message names the file.
    """

    unit_option = "unit_m of depth in its manifest.json"
    complete = True

    def __init__(self, recording: str | Path, *, realtime: bool = False, loop: bool = False) -> None:
        self.path = Path(recording)
        if self.path.name == MANIFEST:
            self.path = self.path.parent
        super().__init__(str(self.path), realtime=realtime, loop=loop)
        self._zip = ZipReader(self.path) if self.path.is_file() else None
        try:
            manifest = self._manifest()
        except InputError:
            self.release()
            raise
        self._frames: list[dict[str, Any]] = manifest["frames"]
        self._unit_m: float | None = manifest["depth"].get("unit_m")

    def _name(self, member: str) -> str:
        return f"{self.path}!{member}" if self._zip is not None else str(self.path / member)

    def _has(self, member: str) -> bool:
        return (self.path / member).exists() if self._zip is None else member in self._zip.names

    def _get(self, member: str, limit_bytes: int = MAX_FILE_BYTES) -> bytes:
        if self._zip is None:
            return read_file(self.path / member, limit_bytes)
        return self._zip.read(member, limit_bytes)

    def _manifest(self) -> dict[str, Any]:
        """Return the manifest, with the frames of an interrupted recording that it does not have."""
        broken = (self._zip is not None and not self._zip.complete) or not self._has(MANIFEST)
        first = _own_manifest(0) if broken and self._has(_own_manifest(0)) else MANIFEST
        manifest = self._one_manifest(first)
        known = len(manifest["frames"])
        while self._has(member := _own_manifest(len(manifest["frames"]))):
            found = self._one_manifest(member)
            if len(found["frames"]) != 1 or found["depth"] != manifest["depth"]:
                raise InputError(_NO_MANIFEST, f"{self._name(member)} is of another recording", "record again")
            manifest["frames"] += found["frames"]
        if first != MANIFEST or len(manifest["frames"]) > known:
            count = len(manifest["frames"])
            _LOG.warning("%s was interrupted: the %d frames before replay", printable(str(self.path)), count)
            self.complete = False
        if not manifest["frames"]:
            raise InputError("A recording must hold at least one frame", self._name(MANIFEST), "record again")
        return manifest

    def _one_manifest(self, member: str) -> dict[str, Any]:
        name = self._name(member)
        try:
            manifest = parse_json(self._get(member, MAX_MANIFEST_BYTES))
            frames_ok = all(_entry_ok(entry) for entry in manifest["frames"])
            known = manifest["format"] == FORMAT and type(manifest["version"]) is int and frames_ok
            depth_ok = _depth_ok(manifest["depth"])
            known = known and not manifest.keys() - _MANIFEST_KEYS
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(_NO_MANIFEST, f"{name} ({error!r})", "record again") from error
        if not (known and depth_ok):
            raise InputError(_NO_MANIFEST, name, "give a folder made by RecordingWriter")
        if manifest["version"] > VERSION:
            given = f"{name}: version {manifest['version']}"
            raise InputError(f"The version of a recording must be at most {VERSION}", given, "upgrade molmo-point")
        return manifest

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> RgbdFrame:
        """Return the frame of an index, as recorded.

        Raises:
            IndexError: The recording is shorter.
            InputError: One of its files is missing or broken; the message names it.
        """
        entry = self._frames[number]
        files = [(self._get(entry[kind]), self._name(entry[kind])) for kind in ("color", "depth") if kind in entry]
        color, depth_m = decode_frame(files[0], files[1] if files[1:] else None, self._unit_m or 1.0)
        noise = entry.get("depth_noise")
        try:
            return RgbdFrame(
                color=color,
                depth_m=depth_m,
                intrinsics=Intrinsics.from_dict(entry["intrinsics"]) if "intrinsics" in entry else None,
                stamp_ns=entry["stamp_ns"],
                frame=entry["frame"],
                depth_stamp_ns=entry.get("depth_stamp_ns"),
                rotate_deg=entry.get("rotate_deg", 0),
                depth_noise=DepthNoise(**noise) if noise else None,
            )
        except (InputError, TypeError, AttributeError) as error:
            given = f"frame {number} of {self._name(MANIFEST)}: {error}"
            raise InputError("The frames of a recording must be valid", given, "record again") from error

    def frame_at(self, number: int) -> RgbdFrame | None:
        return self[number] if number < len(self) else None

    def release(self) -> None:
        if self._zip is not None:
            self._zip.close()


def _depth_ok(depth: dict[str, Any]) -> bool:
    """Check the encoding of depth; a unit that is missing or misspelled would be taken for millimeters."""
    if depth["encoding"] == "npy":
        return len(depth) == 1
    unit_m = depth["unit_m"]
    return depth["encoding"] == "png16" and len(depth) == 2 and type(unit_m) in (int, float) and 0 < unit_m < math.inf


def _own_manifest(number: int) -> str:
    return f"{number:06d}_frame.json"


def _entry_ok(entry: dict[str, Any]) -> bool:
    """Check that a frame of the manifest names plain files of one number and an integer stamp, and has known keys only."""
    names = [entry["color"], entry.get("depth", entry["color"])]
    plain = all(isinstance(name, str) and name and not set(name) & {"/", "\\", "\0"} for name in names)
    paired = plain and len({name.rpartition("_")[0] for name in names}) == 1
    return paired and type(entry["stamp_ns"]) is int and isinstance(entry["frame"], str) and not entry.keys() - _ENTRY_KEYS
