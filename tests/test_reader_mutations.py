"""Files damaged in their own grammar: cut, doubled, reordered, renamed, of other types and units.

A reader gives what a strict reading of the same bytes gives. A position moves by at most 2 mm, or a refusal or a question tells.
"""

import io
import json
import logging
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from molmo_point import InputError, MolmoPointError, RecordingWriter, RgbdFrame, load_frame, load_transform
from molmo_point.camera.recording import Recording
from molmo_point.cli import point
from molmo_point.cli.command_line import main
from molmo_point.geometry.intrinsics import Intrinsics

MANY = int(os.environ.get("MOLMO_POINT_FUZZ", "2000"))
COLOR = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
DEPTH = np.full((48, 64), 0.75, np.float32)
CAMERA = {"width": 64, "height": 48, "fx": 53.591, "fy": 53.607, "cx": 31.62, "cy": 23.41}
QUATERNION = [0.6532814824381883, -0.6532814824381883, 0.27059805007309856, -0.27059805007309845]
POSE = {"target": "base", "source": "camera_color_optical_frame", "translation_m": [0.412, -0.0531, 0.6172]}
PIXEL = np.array([50.0, 10.0])
TYPES = (True, None, [], {}, "wide", [1.0], {"value": 1.0}, "1e999", float("nan"), 10**400, "0.5 m", "٦٠٠")


def as_yaml(values: Any) -> bytes:
    return yaml.safe_dump(values, default_flow_style=random.Random(len(values)).random() < 0.5, sort_keys=False).encode()


def damaged_mapping(values: dict[str, Any], write: Callable[[Any], bytes], rng: random.Random) -> bytes:
    """One structural damage of a file that holds a mapping; an order of keys is none, and is read as it is meant."""
    values = json.loads(json.dumps(values))
    names = list(values)
    rng.shuffle(names)
    values = {name: values[name] for name in names}
    name, kind = rng.choice(names), rng.randrange(8)
    part = values[name]
    if kind == 1:
        values[rng.choice((name.upper(), f"{name} ", f" {name}", f"{name}s", name[:-1], name.title()))] = values.pop(name)
    elif kind == 2:
        values[name] = rng.choice(TYPES)
    elif kind == 3 and isinstance(part, list):
        part[rng.randrange(len(part))] = rng.choice(TYPES)
    elif kind == 4 and isinstance(part, list):
        values[name] = rng.choice((part[:-1], part + part, part[1:], [part], {str(k): each for k, each in enumerate(part)}))
    elif kind == 5 and name == "translation_m":
        values[name] = [each * 1000.0 for each in part]
    elif kind == 5 and name in ("fx", "fy", "cx", "cy"):
        factor = rng.choice((1 / 64, 1000.0))
        values |= {key: values[key] * factor for key in ("fx", "fy", "cx", "cy")}
    elif kind == 5 and name in ("width", "height"):
        values[name] = part * rng.choice((2, 1000, 0.5))
    text = write(values)
    if kind == 6:
        return text + rng.choice((text, write({name: part})))
    return text[: rng.randrange(len(text))] if kind == 7 else text


def damaged_depth(name: str, rng: random.Random) -> bytes:
    factor = rng.choice((1.0, 10.0, 100.0, 1000.0, 0.1, 0.001))
    buffer = io.BytesIO()
    if name.endswith(".npy"):
        np.save(buffer, (DEPTH * factor).astype(rng.choice(("<f4", ">f4", "<f8", "<f2"))))
        data = buffer.getvalue()
        swaps = ((b"<f4", b"<f2"), (b"<f4", b"<i4"), (b"f8", b"i8"), (b"64)", b"32)"), (b"(48", b"(24"), (b"descr", b"Descr"))
        data = data.replace(*rng.choice(swaps)) if rng.random() < 0.4 else data
    else:
        units = np.clip(np.rint(DEPTH * 1000 * factor), 0, 65535).astype(rng.choice((np.uint16, np.uint8)))
        exif = Image.Exif()
        exif[0x0112] = rng.choice((1, 1, 3, 6))
        Image.fromarray(units).save(buffer, "PNG", exif=exif)
        data = buffer.getvalue()
    kind = rng.randrange(4)
    return data + data if kind == 1 else data[: rng.randrange(len(data))] if kind == 2 else data


MAPPINGS: dict[str, tuple[dict[str, Any], Callable[[Any], bytes]]] = {
    "intrinsics.json": (CAMERA, lambda values: json.dumps(values).encode()),
    "intrinsics.yaml": (CAMERA, as_yaml),
    "transform.json": (POSE | {"quaternion_xyzw": QUATERNION}, lambda values: json.dumps(values).encode()),
    "transform.yaml": (POSE | {"quaternion_xyzw": QUATERNION}, as_yaml),
}
NAMES = (*MAPPINGS, "depth.npy", "depth.png", "manifest.json")


def folder_of_files(folder: Path) -> Path:
    Image.fromarray(COLOR).save(folder / "color.png")
    np.save(folder / "depth.npy", DEPTH)
    for name in ("intrinsics.json", "transform.json"):
        values, write = MAPPINGS[name]
        (folder / name).write_bytes(write(values))
    with RecordingWriter(folder / "recording") as writer:
        writer.write(RgbdFrame(COLOR, DEPTH, Intrinsics(**CAMERA), stamp_ns=1))
    return folder


def position(folder: Path, **changed: Path) -> np.ndarray:
    """The position of one pixel by the files."""
    if "manifest" in changed:
        with Recording(changed["manifest"].parent) as recording:
            frame = recording.read()
    else:
        files = [changed.get(name, folder / plain) for name, plain in (("depth", "depth.npy"), ("intrinsics", "intrinsics.json"))]
        frame = load_frame(folder / "color.png", *files)
    if frame.depth_m is None or frame.intrinsics is None:
        return np.full(3, np.nan)
    at_camera = frame.intrinsics.deproject(PIXEL, frame.depth_m[10, 50])
    return load_transform(changed.get("transform", folder / "transform.json")).apply(at_camera, frame.frame)


def command_line(folder: Path, kind: str, path: Path) -> list[str]:
    files = {"depth": folder / "depth.npy", "intrinsics": folder / "intrinsics.json", "transform": folder / "transform.json"}
    if kind == "manifest":
        return ["point", "x", "--recording", str(path.parent), "--transform", str(files["transform"])]
    named = [text for name, file in (files | {kind: path}).items() for text in (f"--{name}", str(file))]
    return ["point", "x", "--image", str(folder / "color.png"), *named]


@pytest.mark.parametrize("count", [25, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_damage_is_refused_or_questioned_or_harmless(
    tmp_path: Path,
    name: str,
    count: int,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(options: object) -> None:
        raise InputError("The files are read")

    monkeypatch.setattr(point, "load_pointer", stop)
    caplog.set_level(logging.WARNING)
    folder, kind = folder_of_files(tmp_path), name.partition(".")[0]
    truth = position(folder)
    path = folder / "recording" / name if kind == "manifest" else folder / f"damaged_{name}"
    plain = path.read_bytes() if kind == "manifest" else b""
    for number in range(count):
        rng = random.Random(f"{name} {number}")
        if kind == "manifest":
            data = damaged_mapping(json.loads(plain), lambda values: json.dumps(values).encode(), rng)
        else:
            data = damaged_mapping(*MAPPINGS[name], rng) if name in MAPPINGS else damaged_depth(name, rng)
        path.write_bytes(data)
        caplog.clear()
        try:
            found = position(folder, **{kind: path})
        except MolmoPointError:
            found = np.full(3, np.nan)
        off_m = float(np.linalg.norm(found - truth))
        assert not off_m > 0.002 or caplog.records, f"number {number}: {off_m:.3f} m off, from {data[:500]!r}"
        if number % max(count // 200, 1):
            continue
        assert main(command_line(folder, kind, path)) == 1
        said = capsys.readouterr()
        assert not re.search("Traceback|should not happen", said.err) and not said.out, f"number {number}: {said.err}"
