"""Depth files of every format hold the depth that was written, in the unit that was meant or asked for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from molmo_point import load_frame
from molmo_point.camera.image_file import ImageFiles, load_depth
from molmo_point.cli import main
from molmo_point.errors import InputError

GENERATOR = np.random.default_rng(3)
METERS = GENERATOR.uniform(0.5, 1.2, (48, 64)).astype(np.float32)
UNITS = np.rint(METERS * 1000).astype(np.uint16)
UNITS[0, :9] = 0
FLOATS = np.where(UNITS == 0, np.nan, UNITS / np.float32(1000)).astype(np.float32)


def write_exr(path: Path, **channels: np.ndarray) -> None:
    exr = pytest.importorskip("OpenEXR")
    exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, channels).write(str(path))


def write_mat(path: Path, **values: Any) -> None:
    pytest.importorskip("scipy.io").savemat(path, values, do_compression=True)


WRITERS: dict[str, Any] = {
    "d.npz": lambda path: np.savez_compressed(path, UNITS),
    "named.npz": lambda path: np.savez(path, depth=UNITS, color=np.zeros((48, 64, 3), np.uint8), K=np.eye(3)),
    "half.npy": lambda path: np.save(path, FLOATS.astype(np.float16)),
    "i32.npy": lambda path: np.save(path, UNITS.astype(np.int32)[..., None]),
    "be.npy": lambda path: np.save(path, UNITS.astype(">u2")),
    "one.npy": lambda path: np.save(path, FLOATS[None]),
    "d.exr": lambda path: write_exr(path, Z=FLOATS),
    "half.exr": lambda path: write_exr(path, Y=FLOATS.astype(np.float16)),
    "gray.exr": lambda path: write_exr(path, R=FLOATS, G=FLOATS, B=FLOATS),
    "rgba.exr": lambda path: write_exr(path, A=np.ones_like(FLOATS), R=FLOATS, G=FLOATS, B=FLOATS),
    "far.exr": lambda path: write_exr(path, V=np.where(np.isnan(FLOATS), np.float32(1e10), FLOATS)),
    "saturated.npy": lambda path: np.save(path, np.where(UNITS == 0, np.uint16(65535), UNITS)),
    "rgbz.exr": lambda path: write_exr(path, R=FLOATS * 0, G=FLOATS * 0, B=FLOATS * 0, Z=FLOATS),
    "d.pgm": lambda path: path.write_bytes(b"P5\n# a comment\n64 48\n65535\n" + UNITS.astype(">u2").tobytes()),
    "4000.pgm": lambda path: path.write_bytes(b"P5 64 48 4000\n" + UNITS.astype(">u2").tobytes()),
    "text.pgm": lambda path: path.write_text("P2\n64 48\n65535\n" + " ".join(map(str, UNITS.ravel()))),
    "little.pfm": lambda path: path.write_bytes(b"Pf\n64 48\n-1.0\n" + FLOATS[::-1].astype("<f4").tobytes()),
    "big.pfm": lambda path: path.write_bytes(b"Pf\n64 48\n1.0\n" + FLOATS[::-1].astype(">f4").tobytes()),
    "u16.tif": lambda path: Image.fromarray(UNITS).save(path),
    "i32.tiff": lambda path: Image.fromarray(UNITS.astype(np.int32)).save(path),
    "f32.tif": lambda path: Image.fromarray(FLOATS).save(path, compression="tiff_deflate"),
    "d.mat": lambda path: write_mat(path, depth=UNITS, instances=np.zeros((48, 64)), name="a"),
    "rgb16.npy": lambda path: np.save(path, np.dstack([UNITS] * 3)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_depth_of_every_format_is_what_was_written(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    (tmp_path / name).rename(tmp_path / "depth")
    if name.endswith(".npy"):
        (tmp_path / "depth").rename(tmp_path / "depth.npy")
    found = load_depth(next(tmp_path.iterdir()))
    np.testing.assert_array_equal(np.isnan(found), UNITS == 0)
    np.testing.assert_allclose(found, FLOATS, rtol=1e-3 if "half" in name else 1e-6)


BROKEN: dict[str, tuple[Any, str]] = {
    "8 bits": (lambda path: path.write_bytes(b"P5 64 48 255\n" + bytes(64 * 48)), "16 bits"),
    "two arrays": (lambda path: np.savez(path, a=UNITS, b=UNITS), "one depth image"),
    "colors": (lambda path: Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path, format="PNG"), "16-bit PNG"),
    "color-coded array": (lambda path: np.savez(path, GENERATOR.integers(0, 255, (48, 64, 3), dtype=np.uint8)), "color-coded"),
    "scaled PFM": (lambda path: path.write_bytes(b"Pf\n64 48\n-0.01\n" + FLOATS.tobytes()), "scale"),
    "PFM of colors": (lambda path: path.write_bytes(b"PF\n64 48\n-1\n" + bytes(64 * 48 * 12)), "one channel"),
    "cut PGM": (lambda path: path.write_bytes(b"P5 64 48 65535\n" + bytes(99)), "too few pixels"),
    "huge PGM": (lambda path: path.write_bytes(b"P5 99999999 99999999 65535\n" + bytes(99)), "header"),
    "cut EXR": (lambda path: path.write_bytes(b"\x76\x2f\x31\x01" + bytes(50)), "EXR"),
    "channels": (lambda path: write_exr(path, R=FLOATS, G=FLOATS + 1, B=FLOATS), "channels"),
    "objects": (lambda path: np.savez(path, depth=np.array([[{}] * 5] * 5, dtype=object)), "array of numbers"),
    "cut .npz": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(50)), "archive"),
    "HDF5": (lambda path: path.write_bytes(b"\x89HDF" + bytes(50)), "HDF5"),
    "a text": (lambda path: path.write_text("depth"), "EXR, .npy"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_depth_file_that_is_none_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write, clue = BROKEN[name]
    write(tmp_path / "d.npz")
    with pytest.raises(InputError, match=clue) as caught:
        load_depth(tmp_path / "d.npz")
    assert "d.npz" in str(caught.value)


def test_depth_that_is_negative_everywhere_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", -FLOATS)
    with pytest.raises(InputError, match=r"positive.*-1\.\d+ to -0\.5\d*\. Fix: .*sign"):
        load_depth(tmp_path / "d.npy")


@pytest.mark.parametrize(("factor", "clue"), [(5000, "0.0002 gives"), (10000, "0.0001 gives"), (256, "0.00390625 gives")])
def test_integers_of_another_unit_are_asked_for(tmp_path: Path, factor: int, clue: str) -> None:
    meters = METERS * (30 if factor == 256 else 1.5)
    Image.fromarray(np.rint(meters * factor).astype(np.uint16)).save(tmp_path / "d.png")
    with pytest.raises(InputError, match=clue):
        load_depth(tmp_path / "d.png")
    np.testing.assert_allclose(load_depth(tmp_path / "d.png", scale_m=1 / factor), meters, atol=1 / factor)


def test_floats_in_millimeters_are_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", METERS * 1000)
    with pytest.raises(InputError, match=r"0\.001 gives 0\.\d+ m \(millimeters\)"):
        load_depth(tmp_path / "d.npy")


def files(folder: Path, factor: float, values: dict[str, Any]) -> dict[str, Path]:
    paths = {"color": folder / "c.png", "depth": folder / "d.png", "intrinsics": folder / "k.json"}
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(paths["color"])
    Image.fromarray(np.rint(METERS * factor).astype(np.uint16)).save(paths["depth"])
    paths["intrinsics"].write_text(json.dumps(values))
    return paths


K = [60.0, 0.0, 31.5, 0.0, 60.0, 23.5, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("factor", "values"),
    [
        (10000, {"cam_K": K, "depth_scale": 0.1}),
        (1000, {"cam_K": K, "depth_scale": 1.0}),
        (5000, {"K": K, "factor_depth": 5000}),
        (4000, {"K": K, "depth_scale": 0.00025}),
        (1000, {"K": K, "depth_scale": 1.0}),
    ],
)
def test_the_factor_of_the_intrinsics_is_used_and_said(tmp_path: Path, factor: float, values: dict[str, Any]) -> None:
    paths = files(tmp_path, factor, values)
    with ImageFiles(paths["color"], depth=paths["depth"], intrinsics=paths["intrinsics"]) as camera:
        np.testing.assert_allclose(camera.read().depth_m, METERS, atol=1 / factor)
        assert "intrinsics" in camera.understood["depth"]["unit_from"]
    stated = load_frame(tmp_path / "c.png", tmp_path / "d.png", tmp_path / "k.json", depth_scale_m=0.001)
    np.testing.assert_allclose(stated.depth_m, METERS * factor * 0.001, rtol=1e-2)


def test_a_factor_of_several_readings_is_asked_for(tmp_path: Path) -> None:
    paths = files(tmp_path, 1000, {"K": K, "depth_scale": 2.0})
    paths["depth"].unlink()
    Image.fromarray(np.full((48, 64), 30, np.uint16)).save(paths["depth"])
    with pytest.raises(InputError, match="depth-scale"):
        load_frame(**paths)


def test_the_command_line_tells_what_was_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = files(tmp_path, 5000, {"a": {"K": K}, "b": {"K": [61.0, *K[1:]]}})
    source = ["--image", str(paths["color"]), "--depth", str(paths["depth"]), "--intrinsics", str(paths["intrinsics"])]
    assert main(["count", "cups", *source]) == 1
    assert "--intrinsics-camera" in capsys.readouterr().err
    source += ["--intrinsics-camera", "b"]
    assert main(["count", "cups", *source]) == 1
    assert "0.0002 gives" in capsys.readouterr().err
    pytest.importorskip("torch")
    assert main(["count", "red cubes", *source, "--depth-scale", "0.0002", "--verbose", "--json"]) == 0
    out, err = capsys.readouterr()
    understood = json.loads(out)["source"]
    assert understood["intrinsics"]["camera"] == "b"
    assert understood["depth"] == {"format": "PNG", "unit_m": 0.0002, "unit_from": "stated"}
    assert "intrinsics camera: b" in err and "depth unit_m: 0.0002" in err
