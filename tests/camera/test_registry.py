"""The registry of cameras: text to camera, what is refused and how, and a camera added with one line."""

import argparse
import inspect
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point import open_camera
from molmo_point.camera.base import Camera
from molmo_point.camera.recording import Recording, RecordingWriter
from molmo_point.camera.registry import CAMERA_MODEL, CAMERAS, CameraDriver, Option, parse_camera, register
from molmo_point.cli import frame_source, main
from molmo_point.errors import DependencyError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_cameras import depth_camera

from .driver_table import markdown_table

# Other tests of the same process may have registered more.
OURS = [driver for driver in CAMERAS.values() if driver.factory.startswith("molmo_point.")]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "cameras.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recording, also as a zip file, and two images with depth, in the current folder."""
    monkeypatch.chdir(tmp_path)
    frame = RgbdFrame(np.full((48, 64, 3), 7, np.uint8), np.full((48, 64), 0.5, np.float32), None, 1_000)
    for path in ("run", "run.zip"):
        with RecordingWriter(path) as writer:
            writer.write(frame)
    for name in ("a", "b"):
        for kind, array in (("color", np.full((48, 64, 3), ord(name), np.uint8)), ("depth", np.full((48, 64), 750, np.uint16))):
            Path(kind).mkdir(exist_ok=True)
            Image.fromarray(array).save(Path(kind, f"{name}.png"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name", "source", "options"),
    [
        ("realsense", "realsense", None, {}),
        ("realsense:0123?fps=15&width=1280", "realsense", "0123", {"fps": 15, "width": 1280}),
        ("realsense?frame=a:b", "realsense", None, {"frame": "a:b"}),
        ("simulated:28?depth_noise=false", "simulated", 28, {"depth_noise": False}),
        ("recording:C:\\run.zip?loop=1", "recording", "C:\\run.zip", {"loop": True}),
        ("clips/a.MP4?every=3", "video", "clips/a.MP4", {"every": 3}),
        ("images:c.png?depth=a%26b.png&depth_scale_m=1e-4", "images", "c.png", {"depth": "a&b.png", "depth_scale_m": 1e-4}),
        ("run", "recording", "run", {}),
        ("run/manifest.json", "recording", "run/manifest.json", {}),
    ],
)
def test_text_names_driver_source_and_options(folder, text, name, source, options):
    request = parse_camera(text)
    assert (request.driver.name, request.source, request.options) == (name, source, options)


@pytest.mark.parametrize(
    ("text", "clues"),
    [
        ("realsens:1", ["realsense[:SERIAL]", "video:PATH", "did you mean 'realsense'"]),
        ("nowhere", ["must be one of", "path of a recording"]),
        ("realsense?fsp=3", ["width, height, fps, camera_model, frame", "did you mean 'fps'"]),
        ("realsense?every=3", ["'every'", "belongs to video"]),
        ("realsense?serial=3", ["write it after the colon: realsense[:SERIAL]"]),
        ("realsense?fps=fast", ["fps must be a whole number from 1 to 300", "fps=fast"]),
        ("realsense?fps=3.5", ["whole number"]),
        ("realsense?fps=0", ["from 1 to 300"]),
        ("realsense?fps=301", ["from 1 to 300"]),
        ("images:a.png?depth_scale_m=nan", ["a number from 1e-06 to 1"]),
        ("simulated?depth_noise=maybe", ["true or false"]),
        ("simulated:red", ["scene_seed must be a whole number"]),
        ("images:a.png?depth=", ["depth must be a text"]),
    ],
)
def test_wrong_text_is_refused_with_what_is_right(text, clues):
    with pytest.raises(InputError) as caught:
        parse_camera(text)
    for clue in clues:
        assert clue in str(caught.value)


def test_an_unknown_simulator_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="kind, unkind, time-of-flight"):
        open_camera("simulated:3?simulator=cruel")


def test_a_source_that_is_needed_is_asked_for():
    with pytest.raises(InputError, match=r"recording:PATH"):
        open_camera("recording")


def test_a_driver_whose_packages_are_missing_names_its_extra(monkeypatch):
    register_for_test(monkeypatch, CameraDriver("sick", "no_such_module:Camera", "x", Option("serial", "x"), extra="sickness"))
    with pytest.raises(DependencyError, match=r"molmo-point\[sickness\]"):
        open_camera("sick")


def test_recordings_and_images_open_by_their_text(folder):
    with open_camera(folder / "run.zip", loop=True) as camera:
        assert isinstance(camera, Recording)
        assert camera.read().stamp_ns < camera.read().stamp_ns
    with open_camera("images:color?depth=depth&fps=4") as camera:
        first, second = camera.read(), camera.read()
    assert (first.color[0, 0, 0], second.color[0, 0, 0]) == (ord("a"), ord("b"))
    assert second.depth_m[0, 0] == np.float32(0.75) and second.stamp_ns - first.stamp_ns == 250_000_000
    (folder / "depth" / "b.png").unlink()
    with open_camera("images:color?depth=depth") as camera:
        camera.read()
        with pytest.raises(InputError, match=r"same stem.*b\.png"):
            camera.read()


def test_options_in_python_win_over_those_in_the_text(folder):
    with open_camera("images:color?fps=4", fps=2, depth=None) as camera:
        assert -camera.read().stamp_ns + camera.read().stamp_ns == 500_000_000
    with pytest.raises(InputError, match="fps must be a number"):
        open_camera("images:color", fps="fast")


def test_the_simulated_camera_closes_its_scene(monkeypatch):
    pytest.importorskip("mujoco")
    camera = open_camera("simulated:28?width=64&height=48")
    closed = []
    monkeypatch.setattr(camera.scene, "close", lambda close=camera.scene.close: closed.append(close()))
    with camera:
        frame = camera.read()
        assert frame.size_wh == (64, 48) and camera.base_T_camera.source == frame.frame
    camera.close()
    assert len(closed) == 1


@pytest.mark.parametrize("driver", OURS, ids=lambda driver: driver.name)
def test_options_are_the_arguments_of_the_factory_with_its_defaults(driver):
    module, _, attribute = driver.factory.partition(":")
    factory = getattr(import_module(module), attribute)
    source, *others = inspect.signature(factory).parameters.values()
    assert issubclass(factory, Camera) and source.name == driver.source.name
    assert (source.default is inspect.Parameter.empty) == driver.needs_source
    defaults = {parameter.name: parameter.default for parameter in others}
    for option in driver.options:
        if option is CAMERA_MODEL:
            continue  # `CameraRequest.open` carries it out for every driver.
        assert option.default == defaults[option.name], option.name


def test_the_table_in_the_docs_is_that_of_the_registry():
    table = markdown_table(OURS)
    assert table in DOCS.read_text(encoding="utf-8"), f"copy into docs/cameras.md:\n{table}"


BLUE = """
import numpy as np
from molmo_point.camera.base import Camera
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.depth_cameras import depth_camera

class BlueCamera(Camera):
    def __init__(self, port=0, *, shade=255):
        self.port, self.shade = port, shade

    def read(self, timeout_s=5.0):
        self.check_open()
        return RgbdFrame(np.full((48, 64, 3), (0, 0, self.shade), np.uint8), None, None, 1 + self.port)
"""


def register_for_test(monkeypatch, driver):
    monkeypatch.setitem(CAMERAS, driver.name, driver)
    register(driver)


def test_a_camera_is_one_file_and_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "blue_camera.py").write_text(BLUE)
    monkeypatch.syspath_prepend(str(tmp_path))
    shade = Option("shade", "brightness", 255, limits=(0, 255))
    register_for_test(
        monkeypatch, CameraDriver("blue", "blue_camera:BlueCamera", "blue", Option("port", "port", 0), options=(shade,))
    )
    with open_camera("blue:7?shade=9") as camera:
        assert camera.read().color[0, 0].tolist() == [0, 0, 9]
    parser = argparse.ArgumentParser()
    frame_source.add_arguments(parser)
    assert frame_source.read_frame(parser.parse_args(["--camera", "blue:7"])).stamp_ns == 8
    for command in (["point"], ["calibrate", "intrinsics"], ["calibrate", "capture"]):
        assert main([*command, "--help"]) == 0
        assert "blue[:PORT]" in capsys.readouterr().out
    assert "| `blue[:PORT]`<br>port | blue | `shade` brightness (255) |  |" in markdown_table(list(CAMERAS.values()))


def test_a_serial_number_goes_with_a_camera_that_has_one(capsys):
    assert main(["point", "x", "--camera", "simulated:28", "--serial", "3"]) == 1
    assert "--serial goes with" in capsys.readouterr().err


def test_a_camera_model_states_the_noise_of_every_frame(tmp_path):
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "c.png")
    np.save(tmp_path / "d.npy", np.full((48, 64), 0.7, np.float32))
    text = f"images:{tmp_path}/c.png?depth={tmp_path}/d.npy"
    with open_camera(f"{text}&camera_model=d435:1280") as camera:
        assert camera.replays
        assert camera.read().depth_noise == depth_camera("D435:1280")
    with open_camera(text, camera_model="femto").stamped_by(lambda: 5) as camera:
        frame = camera.read()
        assert (frame.depth_noise, frame.stamp_ns) == (depth_camera("femto"), 5)
    with open_camera(text) as camera:
        assert camera.read().depth_noise is None
    with pytest.raises(InputError, match="did you mean 'D435'"):
        open_camera(text, camera_model="D436x")
