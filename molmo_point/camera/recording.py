"""Recordings of RGB-D frames: a folder or a zip file that replays as a camera.

Layout: `manifest.json` (format, version, encoding of depth, one entry per frame), one color PNG and one depth file per
frame. Color is exact. Depth is exact to the stated unit in a 16-bit PNG, and bit-exact in `.npy`.
"""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

from molmo_point.camera.base import Closing
from molmo_point.camera.image_file import decode_depth_file, encode_depth
from molmo_point.camera.replay import Replay
from molmo_point.errors import CameraError, InputError
from molmo_point.files import decode_image, encode_png, read_file, write_file
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_noise import DepthNoise
from molmo_point.geometry.intrinsics import Intrinsics

FORMAT = "molmo-point recording"
VERSION = 1
MANIFEST = "manifest.json"
_MANIFEST_EVERY = 30
_NO_MANIFEST = "The file must be the manifest of a recording"


class RecordingWriter(Closing):
    """Writes frames to a folder, or to a zip file if the path ends in `.zip`.

    The manifest is written every few frames and on `close`, each time whole. An interrupted recording in a folder
    replays up to the last manifest. A zip file appears under its name on `close`.

    Args:
        path: A folder, made if missing, that holds no recording; or a `.zip` file that does not exist.
        depth_unit_m: Meters per unit of the 16-bit depth PNGs; None stores depth as float32 `.npy`, bit-exact.

    Raises:
        InputError: Something exists at `path`, or the unit is not positive.
    """

    def __init__(self, path: str | Path, *, depth_unit_m: float | None = 0.001) -> None:
        if depth_unit_m is not None and not depth_unit_m > 0:
            raise InputError("depth_unit_m must be positive", str(depth_unit_m), "give 0.001 for millimeters")
        self.path = Path(path)
        self._unit_m = depth_unit_m
        self._entries: list[dict[str, Any]] = []
        self._zip: zipfile.ZipFile | None = None
        self._closed = False
        existing = self.path if self.path.suffix == ".zip" else self.path / MANIFEST
        if existing.exists() or (self.path.suffix != ".zip" and self.path.is_file()):
            raise InputError("A recording must not overwrite a file", str(self.path), "choose a new path, or remove the file")
        try:
            if self.path.suffix == ".zip":
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._partial = self.path.with_name(f".{self.path.name}.partial")
                self._zip = zipfile.ZipFile(self._partial, "w")
            else:
                self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("The path must be writable", f"{self.path} ({error.strerror})", "choose another path") from error

    def write(self, frame: RgbdFrame) -> None:
        """Add one frame.

        Raises:
            InputError: A depth does not fit into 16 bits of the chosen unit, or the disk refuses.
            CameraError: The writer is closed.
        """
        if self._closed:
            raise CameraError("The recording is closed", str(self.path), "write before close()")
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
            noise = dataclasses.asdict(frame.depth_noise)
            entry["depth_noise"] = {name: noise[name] for name in ("baseline_m", "sigma_disparity_px", "focal_px")}
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
        """Write the manifest and finish the file. Closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        self._put_manifest()
        if self._zip is not None:
            self._zip.close()
            self._partial.replace(self.path)


class Recording(Replay):
    """A recording as a camera.

    Args:
        recording: Path of what `RecordingWriter` wrote: a folder, its `manifest.json`, or a zip file.
        realtime: Hand frames out at the rate at which they were captured; otherwise as fast as they are read.
        loop: Start again at the end. Stamps then keep growing, by the length of the recording for each round.

    Raises:
        InputError: The path holds no recording, one of a newer version, or an empty one; the message names the file.
    """

    unit_option = "unit_m of depth in its manifest.json"

    def __init__(self, recording: str | Path, *, realtime: bool = False, loop: bool = False) -> None:
        self.path = Path(recording)
        if self.path.name == MANIFEST:
            self.path = self.path.parent
        super().__init__(str(self.path), realtime=realtime, loop=loop)
        self._zip = _open_zip(self.path) if self.path.is_file() else None
        manifest = self._manifest()
        self._frames: list[dict[str, Any]] = manifest["frames"]
        self._unit_m: float | None = manifest["depth"].get("unit_m")

    def _name(self, member: str) -> str:
        return f"{self.path}!{member}" if self._zip is not None else str(self.path / member)

    def _get(self, member: str) -> bytes:
        if self._zip is None:
            return read_file(self.path / member)
        try:
            return self._zip.read(member)
        except (KeyError, zipfile.BadZipFile, OSError, EOFError) as error:
            given = f"{self._name(member)} ({error})"
            raise InputError("The files of a recording must be readable", given, "record again") from error

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
            raise InputError(_NO_MANIFEST, f"{name} ({error!r})", "record again") from error
        if not (known and depth_ok):
            raise InputError(_NO_MANIFEST, name, "give a folder made by RecordingWriter")
        if manifest["version"] > VERSION:
            given = f"{name}: version {manifest['version']}"
            raise InputError(f"The version of a recording must be at most {VERSION}", given, "upgrade molmo-point")
        if not manifest["frames"]:
            raise InputError("A recording must hold at least one frame", name, "record again")
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
            given = f"frame {number} of {self._name(MANIFEST)}: {error}"
            raise InputError("The frames of a recording must be valid", given, "record again") from error

    def frame_at(self, number: int) -> RgbdFrame | None:
        return self[number] if number < len(self) else None

    def release(self) -> None:
        if self._zip is not None:
            self._zip.close()


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        given = f"{path} ({error})"
        raise InputError("The file must be a recording", given, "give a folder or a complete .zip of a recording") from error


def _entry_ok(entry: dict[str, Any]) -> bool:
    """Check that a frame of the manifest names plain files and an integer stamp."""
    names = [entry["color"], entry.get("depth", "x")]
    plain = all(isinstance(name, str) and name and "/" not in name and "\\" not in name for name in names)
    return plain and isinstance(entry["stamp_ns"], int) and isinstance(entry["frame"], str)
