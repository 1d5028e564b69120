"""The registry of cameras: one line a driver, and the opening of a camera from text.

`realsense:SERIAL?fps=30` names a driver, after the colon its source (serial number, path, seed), after the question mark
its options. The command line, the ROS parameter `camera`, the doctor and docs/cameras.md read this registry.
"""

import contextlib
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from molmo_point.camera.base import Camera, turned, with_noise
from molmo_point.dependencies import require_name
from molmo_point.errors import InputError
from molmo_point.frame import MAX_DEPTH_UNIT_M, MIN_DEPTH_UNIT_M, OPTICAL_FRAME, ROTATIONS
from molmo_point.geometry.depth_cameras import AUTO, depth_camera

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


@dataclass(frozen=True)
class Option:
    """One argument of a driver.

    Attributes:
        name: Name of the argument of the driver's factory.
        description: Meaning and unit; a phrase without a period.
        default: Value of the factory if the option is not given; its type is the type of the option.
        kind: Type of the option if `default` is None.
        limits: Lowest and highest value, inclusive; None if any value is possible.
        choices: All values; empty if the limits tell.
        metavar: Word for its value in help texts; empty takes the name.
    """

    name: str
    description: str
    default: Any = None
    kind: type = str
    limits: tuple[float, float] | None = None
    choices: tuple[int, ...] = ()
    metavar: str = ""

    def parse(self, value: Any) -> Any:
        """Convert text to the type of the option, and check a value of that type.

        Raises:
            InputError: The value has another type or is outside the limits.
        """
        kind = self.kind if self.default is None else type(self.default)
        found: Any = None
        # From text for every value, so that 3.7 is no whole number and True no number.
        with contextlib.suppress(ValueError, KeyError):
            found = _BOOLEANS[str(value).lower()] if kind is bool else kind(str(value))
        low, high = self.limits or (None, None)
        outside = low is not None and found is not None and not low <= found <= high
        if found in (None, "") or outside or (self.choices and found not in self.choices):
            span = "" if low is None else f" from {low:g} to {high:g}"
            span = f": {', '.join(map(str, self.choices))}" if self.choices else span
            wanted = f"{self.name} must be {_KINDS[kind]}{span}"
            raise InputError(wanted, f"{self.name}={value}", f"{self.name} is: {self.description}")
        return found


@dataclass(frozen=True)
class CameraDriver:
    """One kind of camera.

    Attributes:
        name: First word of the text that opens it.
        factory: "module:callable" that takes the source, if given, and the options by name; returns a `Camera`.
        description: Device or file that it opens; a phrase without a period.
        source: Argument after the colon.
        needs_source: True if the source has no default.
        options: Arguments after the question mark.
        extra: Extra of molmo-point that installs its packages; empty if none.
        suffixes: Endings of its files; a bare path with one of them opens this driver.
        marker: Name of a file that tells a folder of this driver; empty if none.
        package: Package that only this driver needs, as "name>=version"; empty if none.
        probe: "module:function" that lists connected devices as `DeviceReport`; empty if there are none to find.
        records_transforms: True if the factory takes `on_transforms`, a callback for transforms stored with the frames.
    """

    name: str
    factory: str
    description: str
    source: Option
    needs_source: bool = False
    options: tuple[Option, ...] = ()
    extra: str = ""
    suffixes: tuple[str, ...] = ()
    marker: str = ""
    package: str = ""
    probe: str = ""
    records_transforms: bool = False

    @property
    def usage(self) -> str:
        """The text that opens it, e.g. `realsense[:SERIAL]`."""
        word = self.source.metavar or self.source.name.upper()
        return f"{self.name}:{word}" if self.needs_source else f"{self.name}[:{word}]"


_FRAME = Option("frame", "name of the optical frame", OPTICAL_FRAME)
_REPLAYED = (
    Option("realtime", "hand frames out at the rate at which they were captured", False),
    Option("loop", "start again at the end", False),
)
_FPS = "frames per second"
CAMERA_MODEL = Option(
    "camera_model",
    f"camera that measured the depth, for its noise, e.g. D435 or D435:1280; {AUTO}: as the source says, else an estimate",
    AUTO,
)
"""Option of every driver whose depth may come from any camera; `CameraRequest.open` carries it out."""
ROTATE = Option(
    "rotate",
    "turn in degrees clockwise that makes the picture upright for the model; pixels, depth and positions stay the sensor's",
    kind=int,
    choices=ROTATIONS,
)
"""Option of every driver, for a camera that is mounted turned."""


def _size(width: int, height: int) -> list[Option]:
    sides = (("width", width), ("height", height))
    return [Option(name, f"{name} of the image in pixels", pixels, limits=(16, 4096)) for name, pixels in sides]


CAMERAS: dict[str, CameraDriver] = {}
"""Every driver by name; `register` adds to it."""


def register(*drivers: CameraDriver) -> None:
    """Add drivers to the registry; a driver of the same name is replaced."""
    CAMERAS.update((driver.name, driver) for driver in drivers)


register(
    CameraDriver(
        "realsense",
        "molmo_point.camera.realsense:RealSense",
        "RealSense D400 through librealsense",
        Option("serial", "serial number; the first camera found if not given"),
        options=(*_size(848, 480), Option("fps", _FPS, 30, limits=(1, 300)), CAMERA_MODEL, _FRAME),
        extra="realsense",
        package="pyrealsense2>=2.50",
        probe="molmo_point.camera.realsense:report_devices",
    ),
    CameraDriver(
        "simulated",
        "molmo_point.sim.camera:SimulatedTable",
        "random tabletop seen by a simulated D435",
        Option("scene_seed", "seed of the scene and of the depth noise", 0, limits=(0, 1_000_000), metavar="SEED"),
        options=(
            *_size(640, 480),
            Option("fps", _FPS, 10, limits=(1, 120)),
            Option("depth_noise", "give the simulated depth the noise and holes of a D435", True),
            Option("simulator", "faults of the simulated depth: kind, unkind (as real stereo cameras) or time-of-flight", "kind"),
            Option("toys", "toys on the table instead of solids, e.g. 1,4-6,7c; c, p, f: in other colors, pattern, form", ""),
            Option("motion", "still, or circling around the toys; circling for one toy and still for several if not given", ""),
        ),
        extra="sim",
    ),
    CameraDriver(
        "recording",
        "molmo_point.camera.recording:Recording",
        "recording of RecordingWriter",
        Option("recording", "path of its folder or .zip file", metavar="PATH"),
        needs_source=True,
        options=(*_REPLAYED, CAMERA_MODEL),
        suffixes=(".zip", "manifest.json"),
        marker="manifest.json",
    ),
    CameraDriver(
        "realsense_bag",
        "molmo_point.camera.realsense_recording:RealSenseRecording",
        "recording of librealsense",
        Option("recording", "path of its .bag or .db3 file", metavar="PATH"),
        needs_source=True,
        options=(*_REPLAYED, _FRAME),
        extra="formats",
        suffixes=(".bag",),
    ),
    CameraDriver(
        "video",
        "molmo_point.camera.video_file:VideoFile",
        "video file, without depth",
        Option("video", "path of an .mp4, .avi, .mkv, .webm or .mov file", metavar="PATH"),
        needs_source=True,
        options=(Option("every", "hand out only every n-th frame", 1, limits=(1, 1_000_000)), *_REPLAYED, _FRAME),
        extra="video",
        suffixes=(".mp4", ".avi", ".mkv", ".webm", ".mov"),
    ),
    CameraDriver(
        "images",
        "molmo_point.camera.image_file:ImageFiles",
        "color image, or a folder of them, with or without depth",
        Option("images", "path of a color image, or of a folder of them", metavar="PATH"),
        needs_source=True,
        options=(
            Option("depth", "depth image aligned to color, or a folder of them"),
            Option("intrinsics", "file of intrinsics in a layout listed below"),
            Option("intrinsics_camera", "name of the camera in a file of several cameras"),
            Option(
                "depth_scale_m",
                "meters per unit of depth; found out or asked if not given",
                kind=float,
                limits=(MIN_DEPTH_UNIT_M, MAX_DEPTH_UNIT_M),
            ),
            Option("fps", _FPS, 10.0, limits=(0.001, 1000)),
            *_REPLAYED,
            CAMERA_MODEL,
            _FRAME,
            ROTATE,
        ),
        suffixes=(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
    ),
)


@dataclass(frozen=True)
class CameraRequest:
    """A driver with its checked arguments, not yet opened.

    Attributes:
        driver: The driver.
        source: Argument after the colon; None if not given.
        options: Checked options by name.
    """

    driver: CameraDriver
    source: Any
    options: Mapping[str, Any]

    def filled(self, values: Mapping[str, Any]) -> "CameraRequest":
        """Return the request with the arguments that it lacks, as far as the driver has them.

        Args:
            values: Source and options by name; names of other drivers are ignored.

        Raises:
            InputError: A value has another type or is outside the limits.
        """
        source, options = self.source, dict(self.options)
        if source is None and self.driver.source.name in values:
            source = self.driver.source.parse(values[self.driver.source.name])
        for option in (*self.driver.options, ROTATE):
            if option.name in values and option.name not in options:
                options[option.name] = option.parse(values[option.name])
        return replace(self, source=source, options=options)

    def open(self, **more: Any) -> Camera:
        """Open the camera.

        Args:
            more: Arguments of the factory that text cannot give, e.g. `on_transforms`.

        Raises:
            InputError: The driver needs a source and has none, or its files are broken.
            CameraError: The device is not connected or refuses.
            DependencyError: A package that the driver needs is not installed.
        """
        driver = self.driver
        if self.source is None and driver.needs_source:
            wanted = f"The camera {driver.name} must have a source"
            raise InputError(wanted, driver.name, f"write {driver.usage}, with the {driver.source.description}")
        options = dict(self.options)
        model = options.pop(CAMERA_MODEL.name, AUTO)
        depth_camera(model)
        factory = require_name(driver.factory, f"The camera {driver.name}", driver.extra)
        rotate_deg = options.pop(ROTATE.name, None) if ROTATE not in driver.options else None
        camera = factory(*(() if self.source is None else (self.source,)), **options, **more)
        return with_noise(camera if rotate_deg is None else turned(camera, rotate_deg), model)


def open_camera(camera: str | Path, **options: Any) -> Camera:
    """Open a camera that text names.

    Args:
        camera: `realsense`, `realsense:SERIAL?fps=30&width=1280`, `simulated:28`, `recording:run.zip`, `video:clip.mp4`,
            `images:color.png?depth=depth.png&intrinsics=intrinsics.json`, or the bare path of a recording, a video or an
            image. `%26` stands for an `&` in an option. docs/cameras.md lists every driver with its options.
        options: Further options by name; they win over those in the text, except None.

    Returns:
        The open camera, a context manager.

    Raises:
        InputError: The text names no driver, an option is unknown or has a wrong value, or a file is broken.
        CameraError: The device is not connected or refuses.
        DependencyError: A package that the driver needs is not installed.
    """
    request = parse_camera(camera)
    checked = {name: _option(request.driver, name).parse(value) for name, value in options.items() if value is not None}
    return replace(request, options={**request.options, **checked}).open()


def parse_camera(camera: str | Path) -> CameraRequest:
    """Read the text that names a camera; see `open_camera`. Nothing is opened.

    Raises:
        InputError: The text names no driver, or an option is unknown or has a wrong value.
    """
    text = str(camera)
    name = _first_word(text)
    if name in CAMERAS:
        driver, rest = CAMERAS[name], text[len(name) :].removeprefix(":")
    else:
        driver, rest = _driver_of_path(text), text
    source, _, query = rest.partition("?")
    options = {}
    for item in filter(None, query.split("&")):
        key, _, value = item.partition("=")
        options[key] = _option(driver, key).parse(unquote(value))
    return CameraRequest(driver, driver.source.parse(source) if source else None, options)


def _first_word(text: str) -> str:
    return re.split("[:?]", text, maxsplit=1)[0]


def _driver_of_path(text: str) -> CameraDriver:
    path = Path(text.partition("?")[0])
    for driver in CAMERAS.values():
        if path.name.lower().endswith(driver.suffixes) or (driver.marker and (path / driver.marker).is_file()):
            return driver
    close = difflib.get_close_matches(_first_word(text), CAMERAS, 1)
    fix = f"did you mean {close[0]!r}?" if close else "write e.g. realsense:SERIAL?fps=30, or the path of a recording or video"
    raise InputError(f"The camera must be one of: {usage()}", repr(text), fix)


def _option(driver: CameraDriver, name: str) -> Option:
    """Return an option of a driver; an unknown one is an error that names the valid ones."""
    options = {option.name: option for option in (*driver.options, ROTATE)}
    if name in options:
        return options[name]
    names = list(options)
    owners = [each.name for each in CAMERAS.values() if name in [option.name for option in (each.source, *each.options)]]
    close = difflib.get_close_matches(name, names, 1)
    if name == driver.source.name:
        fix = f"write it after the colon: {driver.usage}"
    elif owners:
        fix = f"leave it out; it belongs to {', '.join(owners)}"
    else:
        fix = f"did you mean {close[0]!r}?" if close else "leave it out"
    raise InputError(f"An option of the camera {driver.name} must be one of: {', '.join(names) or 'none'}", repr(name), fix)


def usage() -> str:
    """List the texts that open the drivers: `realsense[:SERIAL], simulated[:SCENE_SEED], ...`."""
    return ", ".join(driver.usage for driver in CAMERAS.values())
