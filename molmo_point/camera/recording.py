"""Recordings of RGB-D frames: a folder or a zip file that replays as a camera.

Layout: `manifest.json` (format, version, how depth is stored, one entry per frame) beside one colour PNG and one
depth file per frame. Colour is exact. Depth is exact to the stated unit in a 16-bit PNG, or bit-exact in `.npy`.
"""

import dataclasses
import json
import time
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

from molmo_point.camera.image_file import decode_depth_file, encode_depth
from molmo_point.depth.uncertainty import DepthNoise
from molmo_point.errors import CameraError, InputError
from molmo_point.files import decode_image, encode_png, read_file, write_file
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics

FORMAT = "molmo-point recording"
VERSION = 1
MANIFEST = "manifest.json"
_MANIFEST_EVERY = 30


class RecordingWriter:
    """Writes frames to a folder, or to a zip file if the path ends in `.zip`.

    The manifest is brought up to date every few frames and on `close`, each time whole, so an interrupted recording
    in a folder replays up to the last update. A zip file appears under its name on `close`.

    Args:
        path: a folder (made if missing, must hold no recording yet) or a `.zip` file that does not exist yet.
        depth_unit_m: metres per unit of the 16-bit depth PNGs; None stores depth as float32 `.npy`, bit-exact.

    Raises:
        InputError: something is in the way at `path`, or the unit is not positive.
    """

    def __init__(self, path: str | Path, *, depth_unit_m: float | None = 0.001) -> None:
        if depth_unit_m is not None and not depth_unit_m > 0:
            raise InputError("depth_unit_m must be positive", given=str(depth_unit_m), fix="0.001 is one millimetre")
        self.path = Path(path)
        self._unit_m = depth_unit_m
        self._entries: list[dict[str, Any]] = []
        self._zip: zipfile.ZipFile | None = None
        self._closed = False
        in_the_way = self.path if self.path.suffix == ".zip" else self.path / MANIFEST
        if in_the_way.exists() or (self.path.suffix != ".zip" and self.path.is_file()):
            raise InputError("A recording would overwrite something", given=str(self.path), fix="choose a new path or remove it")
        try:
            if self.path.suffix == ".zip":
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._partial = self.path.with_name(f".{self.path.name}.partial")
                self._zip = zipfile.ZipFile(self._partial, "w")
            else:
                self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                "A recording cannot be made there", given=f"{self.path} ({error.strerror})", fix="choose another path"
            ) from error

    def write(self, frame: RgbdFrame) -> None:
        """Adds one frame.

        Raises:
            InputError: a depth does not fit into 16 bits of the chosen unit, or the disk refuses.
            CameraError: the writer is closed.
        """
        if self._closed:
            raise CameraError("The recording is closed", given=str(self.path), fix="write before close()")
        number = len(self._entries)
        entry: dict[str, Any] = {"color": f"{number:06d}_color.png", "stamp_ns": frame.stamp_ns, "frame": frame.frame}
        if frame.depth_m is not None:
            entry["depth"] = f"{number:06d}_depth.{'npy' if self._unit_m is None else 'png'}"
            self._put(entry["depth"], encode_depth(frame.depth_m, self._unit_m))
        if frame.depth_stamp_ns is not None:
            entry["depth_stamp_ns"] = frame.depth_stamp_ns
        if frame.intrinsics is not None:
            entry["intrinsics"] = frame.intrinsics.to_dict()
        if frame.depth_noise is not None:
            noise = frame.depth_noise
            entry["depth_noise"] = {
                "baseline_m": noise.baseline_m,
                "sigma_disparity_px": noise.sigma_disparity_px,
                "focal_px": noise.focal_px,
            }
        self._put(entry["color"], encode_png(frame.color))
        self._entries.append(entry)
        if self._zip is None and number % _MANIFEST_EVERY == 0:
            self._put_manifest()

    def _put(self, name: str, data: bytes) -> None:
        if self._zip is None:
            write_file(self.path / name, data)
        else:
            self._zip.writestr(name, data)

    def _put_manifest(self) -> None:
        depth = {"encoding": "npy"} if self._unit_m is None else {"encoding": "png16", "unit_m": self._unit_m}
        manifest = {"format": FORMAT, "version": VERSION, "depth": depth, "frames": self._entries}
        self._put(MANIFEST, json.dumps(manifest, indent=1).encode())

    def close(self) -> None:
        """Writes the manifest and finishes the file; closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        self._put_manifest()
        if self._zip is not None:
            self._zip.close()
            self._partial.replace(self.path)

    def __enter__(self) -> "RecordingWriter":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Recording:
    """A recording as a camera.

    Args:
        path: what `RecordingWriter` wrote: a folder, its `manifest.json`, or a zip file.
        realtime: hand frames out at the rate at which they were captured; otherwise as fast as they are read.
        loop: start again at the end. Stamps then go on growing, by the recording's length for each round.

    Raises:
        InputError: not a recording, of a newer version, or empty; the message names the file.
    """

    def __init__(self, path: str | Path, *, realtime: bool = False, loop: bool = False) -> None:
        self.path = Path(path)
        if self.path.name == MANIFEST:
            self.path = self.path.parent
        self._realtime = realtime
        self._loop = loop
        self._zip = _open_zip(self.path) if self.path.is_file() else None
        manifest = self._manifest()
        self._frames: list[dict[str, Any]] = manifest["frames"]
        self._unit_m: float | None = manifest["depth"].get("unit_m")
        self._next = 0
        self._started_s: float | None = None
        self._closed = False

    def _name(self, member: str) -> str:
        return f"{self.path}!{member}" if self._zip is not None else str(self.path / member)

    def _get(self, member: str) -> bytes:
        if self._zip is None:
            return read_file(self.path / member)
        try:
            return self._zip.read(member)
        except (KeyError, zipfile.BadZipFile, OSError, EOFError) as error:
            raise InputError(
                "A file of the recording cannot be read", given=f"{self._name(member)} ({error})", fix="record again"
            ) from error

    def _manifest(self) -> dict[str, Any]:
        name = self._name(MANIFEST)
        try:
            manifest = json.loads(self._get(MANIFEST))
            frames_ok = all(_entry_ok(entry) for entry in manifest["frames"])
            known = manifest["format"] == FORMAT and isinstance(manifest["version"], int) and frames_ok
            depth_ok = float(manifest["depth"].get("unit_m", 1.0)) > 0
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError("This is no recording manifest", given=f"{name} ({error!r})", fix="record again") from error
        if not (known and depth_ok):
            raise InputError("This is no recording manifest", given=name, fix="give a folder made by RecordingWriter")
        if manifest["version"] > VERSION:
            raise InputError(
                "The recording has a newer version than this software reads",
                given=f"{name}: version {manifest['version']}, readable up to {VERSION}",
                fix="upgrade molmo-point",
            )
        if not manifest["frames"]:
            raise InputError("The recording holds no frame", given=name, fix="record again")
        return manifest

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> RgbdFrame:
        """The frame of that number, as recorded.

        Raises:
            IndexError: there is no such frame.
            InputError: one of its files is missing or broken; the message names it.
        """
        entry = self._frames[number]
        color = decode_image(self._get(entry["color"]), self._name(entry["color"]))
        depth_m = None
        if "depth" in entry:
            depth_m = decode_depth_file(self._get(entry["depth"]), self._name(entry["depth"]), self._unit_m)
        noise = entry.get("depth_noise")
        try:
            return RgbdFrame(
                color=color,
                depth_m=depth_m,
                intrinsics=Intrinsics.from_dict(entry["intrinsics"]) if "intrinsics" in entry else None,
                stamp_ns=entry["stamp_ns"],
                frame=entry["frame"],
                depth_stamp_ns=entry.get("depth_stamp_ns"),
                depth_noise=DepthNoise(**noise) if noise else None,
            )
        except (InputError, TypeError) as error:
            raise InputError(
                "A frame of the recording is not valid",
                given=f"frame {number} of {self._name(MANIFEST)}: {error}",
                fix="record again",
            ) from error

    def read(self, timeout_s: float = 5.0) -> RgbdFrame:
        """The next frame.

        Raises:
            CameraError: the recording is closed, at its end, or (realtime) its next frame is not due in time.
            InputError: a file of the frame is missing or broken.
        """
        if self._closed:
            raise CameraError("The recording is closed", given=str(self.path), fix="open it again")
        round_number, number = divmod(self._next, len(self._frames))
        if round_number and not self._loop:
            raise CameraError(
                "The recording is at its end", given=f"{self.path}, {len(self)} frames", fix="open it with loop=True"
            )
        shift_ns = round_number * self._round_ns()
        if self._realtime:
            self._wait(self._frames[number]["stamp_ns"] + shift_ns, timeout_s)
        frame = self[number]
        self._next += 1
        return frame if not shift_ns else _shifted(frame, shift_ns)

    def _round_ns(self) -> int:
        """Length of one round: from the first frame to one frame after the last."""
        span_ns = self._frames[-1]["stamp_ns"] - self._frames[0]["stamp_ns"]
        return span_ns + max(span_ns // max(len(self._frames) - 1, 1), 1)

    def _wait(self, stamp_ns: int, timeout_s: float) -> None:
        now_s = time.monotonic()
        if self._started_s is None:
            self._started_s = now_s
        wait_s = self._started_s + (stamp_ns - self._frames[0]["stamp_ns"]) * 1e-9 - now_s
        if wait_s > timeout_s:
            raise CameraError(
                "No frame came in time",
                given=f"timeout_s={timeout_s:g}, next recorded frame in {wait_s:.3f} s",
                fix="raise timeout_s or replay with realtime=False",
            )
        if wait_s > 0:
            time.sleep(wait_s)

    def close(self) -> None:
        """Closes the file; closing twice is allowed."""
        self._closed = True
        if self._zip is not None:
            self._zip.close()

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            "This is no recording", given=f"{path} ({error})", fix="give a folder or a complete .zip of a recording"
        ) from error


def _entry_ok(entry: dict[str, Any]) -> bool:
    """Whether a frame of the manifest names plain files and an integer stamp."""
    names = [entry["color"], entry.get("depth", "x")]
    plain = all(isinstance(name, str) and name and "/" not in name and "\\" not in name for name in names)
    return plain and isinstance(entry["stamp_ns"], int) and isinstance(entry["frame"], str)


def _shifted(frame: RgbdFrame, shift_ns: int) -> RgbdFrame:
    depth_stamp_ns = None if frame.depth_stamp_ns is None else frame.depth_stamp_ns + shift_ns
    return dataclasses.replace(frame, stamp_ns=frame.stamp_ns + shift_ns, depth_stamp_ns=depth_stamp_ns)
