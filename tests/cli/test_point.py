"""`point` and `count` from files to stdout, with a scripted model."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.backend import WholeAnswerBackend
from molmo_point.camera.recording import RecordingWriter
from molmo_point.cli import main
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform, save_transform
from molmo_point.pointer import Pointer
from molmo_point.request import PointRequest
from molmo_point.results import Completion

ONE = ' <point x="62.7" y="46.5" alt="red mug">red mug</point>'
TWO = ' <points x1="62.7" y1="46.5" x2="20.0" y2="20.0" alt="red mug">red mug</points>'
TWO_HOLE_FIRST = ' <points x1="20.0" y1="20.0" x2="62.7" y2="46.5" alt="red mug">red mug</points>'
INTRINSICS = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)


class ScriptedBackend(WholeAnswerBackend):
    """Says the same whatever it is shown, and is noisy on stdout as libraries are."""

    name = "scripted"

    def __init__(self, text: str):
        self.text = text
        self.prompts: list[str] = []

    def answer(self, image, prompt, limits):
        self.prompts.append(prompt.text)
        print("a library talks on stdout")
        return Completion(self.text, 12, "stop", {"generate": 5.0})


@pytest.fixture
def model(monkeypatch):
    """Puts a scripted model in place of every checkpoint; returns it, with what it was loaded as."""
    backend = ScriptedBackend(ONE)
    backend.loaded = []

    def from_pretrained(name_or_folder="tabletop", *, device=None, quantization=None, dtype=None, taught=None):
        backend.loaded.append((str(name_or_folder), device, quantization, dtype))
        backend.taught = taught
        return Pointer(backend)

    monkeypatch.setattr(Pointer, "from_pretrained", staticmethod(from_pretrained))
    return backend


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """image.png, depth.png (mm), depth.npy (m), k.json and k.yaml of one scene: a wall at 0.8 m with a hole."""
    color = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    depth = np.full((48, 64), 0.8, np.float32)
    depth[:20, :30] = 0.0
    Image.fromarray(color).save(tmp_path / "image.png")
    Image.fromarray((depth * 1000).astype(np.uint16)).save(tmp_path / "depth.png")
    np.save(tmp_path / "depth.npy", depth)
    (tmp_path / "k.json").write_text(json.dumps({"width": 64, "height": 48, "fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5}))
    (tmp_path / "k.yaml").write_text("width: 64\nheight: 48\nfx: 60\nfy: 60\ncx: 31.5\ncy: 23.5\ndistortion: [0, 0, 0, 0, 0]\n")
    return tmp_path


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def rgbd(files: Path, depth: str = "depth.png", intrinsics: str = "k.json") -> list:
    return ["--image", files / "image.png", "--depth", files / depth, "--intrinsics", files / intrinsics]


def strict(text: str) -> dict:
    """One JSON object on one line, without NaN."""
    assert text.endswith("\n") and text.count("\n") == 1

    def refuse(word: str):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(("depth", "intrinsics"), [("depth.png", "k.json"), ("depth.npy", "k.yaml")])
def test_json_has_the_promised_keys_and_the_right_numbers(model, files, capsys, depth, intrinsics):
    code, out, err = run(capsys, "point", "the red mug", *rgbd(files, depth, intrinsics), "--json")
    answer = strict(out)
    assert code == 0 and "a library talks" in err
    assert set(answer) == {
        "query", "model", "text", "absent", "absent_probability", "points", "targets", "unreachable", "problems", "truncated",
        "frame", "stamp_ns", "region", "timing_ms", "trusted", "cautions", "signals", "denial_probability", "depth_noise",
        "depth_alignment", "source",
    }  # fmt: skip
    assert answer["query"] == "the red mug" and answer["model"] == "scripted" and answer["absent"] is False
    (point,) = answer["points"]
    assert set(point) == {"u", "v", "label", "confidence", "sigma_px"}
    u, v = 0.627 * 64 - 0.5, 0.465 * 48 - 0.5
    assert (point["u"], point["v"], point["label"]) == (pytest.approx(u), pytest.approx(v), "red mug")
    assert point["confidence"] is None, "not known is null, not a number"
    (target,) = answer["targets"]
    assert set(target) == {
        "point", "u", "v", "label", "confidence", "stamp_ns",
        "position_m", "covariance_m2", "frame", "depth_status", "alternate_depth_m", "valid_ratio"
    }  # fmt: skip
    expected = [(u - 31.5) / 60 * 0.8, (v - 23.5) / 60 * 0.8, 0.8]
    assert target["position_m"] == pytest.approx(expected, abs=2e-3)
    assert len(target["covariance_m2"]) == 9 and target["frame"] == "camera_color_optical_frame"
    assert target["depth_status"] == "OK" and target["alternate_depth_m"] is None
    assert answer["unreachable"] == [] and answer["timing_ms"]["total"] >= 0


def test_a_point_in_a_hole_is_unreachable_with_its_reason(model, files, capsys):
    model.text = TWO
    code, out, _ = run(capsys, "point", "mugs", *rgbd(files), "--json")
    answer = strict(out)
    assert code == 0 and len(answer["points"]) == 2 and len(answer["targets"]) == 1
    (lost,) = answer["unreachable"]
    assert set(lost) == {"point", "u", "v", "label", "reason", "message"} and lost["reason"] == "MISSING"


def test_without_depth_there_are_points_and_no_targets(model, files, capsys):
    code, out, _ = run(capsys, "point", "mug", "--image", files / "image.png", "--json")
    answer = strict(out)
    assert code == 0 and answer["targets"] == [] and [lost["reason"] for lost in answer["unreachable"]] == ["NO_INPUT"]


def test_depth_scale_and_frame_name(model, files, capsys):
    _, out, _ = run(capsys, "point", "mug", *rgbd(files), "--depth-scale", 0.0005, "--frame", "wrist", "--json")
    (target,) = strict(out)["targets"]
    assert target["position_m"][2] == pytest.approx(0.4, abs=1e-3) and target["frame"] == "wrist"


def test_query_as_an_option_reaches_the_model_with_its_settings(model, files, capsys):
    image = ["--image", files / "image.png"]
    run(capsys, "point", "--query", "the red mug", *image, "--model", "some/folder", "--device", "cpu", "--quantization", "nf4")
    assert model.loaded == [("some/folder", "cpu", "nf4", None)] and "red mug" in model.prompts[0]
    run(capsys, "point", "x", *image)
    assert model.loaded[1] == ("tabletop", None, None, None)


def test_human_output_is_a_table_with_position_and_error(model, files, capsys):
    model.text = TWO
    code, out, _ = run(capsys, "point", "mugs", *rgbd(files))
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("#"))
    assert {"label", "u", "x", "σ", "depth"} <= set(lines[head].split())
    assert "red mug" in lines[head + 2] and "+0.8000" in lines[head + 2] and "OK" in lines[head + 2]
    assert "no position" in lines[head + 3]
    model.text = TWO_HOLE_FIRST
    swapped = run(capsys, "point", "mugs", *rgbd(files))[1].splitlines()
    assert "no position" in swapped[head + 2] and "+0.8000" in swapped[head + 3]
    assert any("MISSING" in line for line in lines) and any("camera_color_optical_frame" in line for line in lines)
    assert code == 0 and "{" not in out


def test_absence_is_an_answer_with_its_own_exit_code(model, files, capsys):
    model.text = " There are none."
    code, out, err = run(capsys, "point", "unicorn", "--image", files / "image.png", "--json")
    answer = strict(out)
    assert code == 3 and answer["points"] == [] and "Traceback" not in err
    code, out, _ = run(capsys, "point", "unicorn", "--image", files / "image.png")
    assert code == 3 and ("not in this image" in out or "sees none" in out)


def test_control_characters_of_a_model_never_reach_the_terminal(model, files, capsys):
    model.text = ' <point x="50" y="50" alt="a\x1b[31mb">a\x1b[31mb</point>'
    _, out, _ = run(capsys, "point", "x", "--image", files / "image.png")
    assert "\x1b" not in out


def test_pictures_and_ply_are_written(model, files, capsys):
    wanted = [files / "overlay.png", files / "view.png", files / "cloud.ply"]
    options = ["--overlay", wanted[0], "--view3d", wanted[1], "--ply", wanted[2]]
    code, out, _ = run(capsys, "point", "mug", *rgbd(files), *options)
    assert code == 0 and all(str(path) in out for path in wanted)
    overlay = np.asarray(Image.open(wanted[0]))
    assert overlay.shape == (48, 64, 3) and (overlay != np.asarray(Image.open(files / "image.png"))).any()
    with Image.open(wanted[1]) as view:
        assert view.size[0] > 300
    assert wanted[2].read_bytes().startswith(b"ply\n")


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_all_measured_points_are_written_in_the_frame_of_the_transform(model, files, capsys, suffix):
    open3d = pytest.importorskip("open3d")
    save_transform(files / "t.yaml", Transform("base", "camera_color_optical_frame", np.eye(3), np.array([0.0, 0.0, -5.0])))
    path = files / f"cloud{suffix}"
    options = ["--cloud", path, "--transform", files / "t.yaml"]
    assert run(capsys, "point", "mug", *rgbd(files), *options)[0] == 0
    points = np.asarray(open3d.io.read_point_cloud(str(path)).points)
    assert len(points) > 1000 and points[:, 2].max() < 0.0
    assert run(capsys, "point", "mug", *rgbd(files), *options)[0] == 0, "the program may overwrite its own file"
    path.write_bytes(path.read_bytes().replace(b"molmo-point", b"other-point"))
    code, _, err = run(capsys, "point", "mug", *rgbd(files), *options)
    assert code != 0 and "--cloud" in err
    code, _, err = run(capsys, "point", "mug", *rgbd(files), "--cloud", files / "cloud.xyz")
    assert code != 0 and ".pcd" in err


def test_transform_gives_targets_in_the_base_frame(model, files, capsys):
    turn = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    base_T_camera = Transform("base", "camera_color_optical_frame", turn, np.array([0.0, 0.0, 1.0]))
    save_transform(files / "t.yaml", base_T_camera)
    _, plain, _ = run(capsys, "point", "mug", *rgbd(files), "--json")
    code, out, _ = run(capsys, "point", "mug", *rgbd(files), "--json", "--transform", files / "t.yaml")
    (target,), (camera_target,) = strict(out)["targets"], strict(plain)["targets"]
    assert code == 0 and target["frame"] == "base"
    x, y, z = camera_target["position_m"]
    assert target["position_m"] == pytest.approx([x, -y, 1.0 - z])
    code, _, err = run(capsys, "point", "mug", *rgbd(files), "--frame", "other", "--transform", files / "t.yaml")
    assert code == 1 and "other" in err


def test_a_recorded_frame_is_a_source(model, tmp_path, capsys):
    with RecordingWriter(tmp_path / "r") as writer:
        for number in range(3):
            depth = np.full((48, 64), 0.5 + 0.1 * number, np.float32)
            writer.write(RgbdFrame(np.zeros((48, 64, 3), np.uint8), depth, INTRINSICS, number + 1, "rec"))
    depths = []
    for index in (0, -1):
        _, out, _ = run(capsys, "point", "mug", "--recording", tmp_path / "r", "--index", index, "--json")
        (target,) = strict(out)["targets"]
        depths.append(target["position_m"][2])
        assert target["frame"] == "rec"
    assert depths == pytest.approx([0.5, 0.7], abs=1e-3)
    code, _, err = run(capsys, "point", "mug", "--recording", tmp_path / "r", "--index", 3)
    assert code == 1 and "holds 3 frames" in err


def test_count_prints_the_number_and_json(model, files, capsys):
    model.text = ' Counting the <points x1="10" y1="10" x2="50" y2="50" alt="screws">screws</points> shows a total of 2.'
    code, out, _ = run(capsys, "count", "screws", "--image", files / "image.png")
    assert code == 0 and any(line.split() == ["count", "2"] for line in out.splitlines())
    code, out, _ = run(capsys, "count", "screws", "--image", files / "image.png", "--json", "--overlay", files / "o.png")
    answer = strict(out)
    assert code == 0 and answer["count"] == 2 and len(answer["points"]) == 2 and (files / "o.png").exists()


def broken(files: Path) -> dict[str, list]:
    (files / "garbage.png").write_bytes(b"nonsense")
    (files / "bad.json").write_text('{"width": 64}')
    (files / "small.json").write_text(json.dumps({"width": 32, "height": 24, "fx": 60, "fy": 60, "cx": 16, "cy": 12}))
    np.save(files / "small.npy", np.ones((24, 32)))
    image, k = ["--image", files / "image.png"], ["--intrinsics", files / "k.json"]
    return {
        "nope.png": ["point", "x", "--image", files / "two\nlines nope.png"],
        "garbage.png": ["point", "x", "--image", files / "garbage.png"],
        "bad.json": ["point", "x", *image, "--intrinsics", files / "bad.json"],
        "32": ["point", "x", *image, "--intrinsics", files / "small.json"],
        "24, 32": ["point", "x", *image, *k, "--depth", files / "small.npy"],
        "QUERY must": ["point", *image],
        "One of --image": ["point", "x"],
        "--recording": ["point", "x", *image, "--recording", files],
        "--depth goes with": ["point", "x", "--recording", files, "--depth", files / "depth.png"],
        "unrecognized": ["point", "x", *image, "--frobnicate"],
        "command": [],
        "invalid choice": ["juggle"],
        "empty": ["point", " ", *image],
        "max_points": ["point", "x", *image, "--max-points", 0],
        "--view3d needs": ["point", "x", *image, "--view3d", files / "v.png"],
        "nowhere": ["point", "x", *image, "--overlay", files / "nowhere" / "o.png"],
        "manifest.json": ["count", "x", "--recording", files],
    }


@pytest.mark.parametrize("clue", [
    "nope.png", "garbage.png", "bad.json", "32", "24, 32", "QUERY must", "One of --image", "--recording", "--depth goes with",
    "unrecognized", "command", "invalid choice", "empty", "max_points", "--view3d needs", "nowhere", "manifest.json",
])  # fmt: skip
def test_every_mistake_is_one_line_on_stderr_and_exit_code_1(model, files, capsys, clue):
    cases = broken(files)
    assert len(cases) == 17
    code, out, err = run(capsys, *cases[clue])
    assert code == 1 and out == ""
    assert err.count("\n") == 1 and clue in err and "Traceback" not in err, err


def test_interrupt_ends_with_130_and_bugs_with_one_line(model, files, capsys, monkeypatch):
    image = ["--image", files / "image.png"]

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "answer", stop, raising=False)
    code, out, err = run(capsys, "point", "x", *image)
    assert code == 130 and out == "" and "interrupted" in err

    def bug(*_, **__):
        raise ZeroDivisionError("a bug\nin two lines")

    monkeypatch.setattr(model, "answer", bug, raising=False)
    code, out, err = run(capsys, "point", "x", *image)
    assert code == 1 and err.count("\n") == 1 and "ZeroDivisionError" in err
    code, _, err = run(capsys, "--traceback", "point", "x", *image)
    assert code == 1 and "Traceback" in err


def test_help_and_version_end_with_0(capsys):
    for arguments in (
        ["--help"],
        ["point", "--help"],
        ["count", "--help"],
        ["doctor", "--help"],
        ["demo", "--help"],
        ["--version"],
    ):
        code, out, err = run(capsys, *arguments)
        assert code == 0 and out and not err


def test_libraries_of_taught_objects_reach_the_model(model, files, capsys):
    run(capsys, "point", "my mug", "--image", str(files / "image.png"), "--taught", "anna.taught", "--taught", "robot.taught")
    assert model.taught == [Path("anna.taught"), Path("robot.taught")]


def test_how_to_look_reaches_the_pointer(model, monkeypatch, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    asked: list[PointRequest] = []
    point = Pointer.point

    def noted(self, frame, request):
        asked.append(request)
        return point(self, frame, dataclasses.replace(request, spread=False))

    monkeypatch.setattr(Pointer, "point", noted)
    line = ["point", "mug", "--image", str(tmp_path / "a.png")]
    main([*line, "--no-labels", "--time-budget", "9", "--spread", "--near", "30,20.5", "--near-size", "40"])
    main(line)
    expected = {"labels": False, "time_budget_s": 9.0, "spread": True, "near": (30.0, 20.5), "near_size_px": 40.0}
    assert asked == [PointRequest("mug", **expected), PointRequest("mug")]


@pytest.mark.parametrize("wrong", [["--near", "3"], ["--near", "a,b"], ["--near-size", "40"], ["--near", "900,2"]])
def test_places_that_are_none_are_one_line(model, tmp_path, capsys, wrong):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    assert main(["point", "mug", "--image", str(tmp_path / "a.png"), *wrong]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_camera_model_states_the_noise_and_a_guess_is_said(model, files, capsys):
    mug = ("point", "the mug", *rgbd(files))
    assert "--camera-model states it" in run(capsys, *mug)[1]
    assert "--camera-model" not in run(capsys, *mug, "--camera-model", "d405:1280")[1]
    noise = strict(run(capsys, *mug, "--camera-model", "D405", "--json")[1])["depth_noise"]
    assert (noise["camera"], noise["source"]) == ("D405", "preset")
    code, _, err = run(capsys, *mug, "--camera-model", "D406x")
    assert code == 1 and "did you mean 'D405'" in err
