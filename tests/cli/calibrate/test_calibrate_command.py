"""`molmo-point calibrate`: files, JSON, exit codes, and nothing written where something is wrong."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from molmo_point.calibration.boards import DEFAULT, board_yaml
from molmo_point.calibration.rehearsal_arm import render_board
from molmo_point.camera.intrinsics_files.camera_choice import load_intrinsics
from molmo_point.cli import main
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.rigid import difference
from molmo_point.geometry.transforms import load_transform, save_transform
from molmo_point.hand_eye.synthetic import viewpoints

pytest.importorskip("cv2")

LENS = Intrinsics(640, 480, 610.0, 608.0, 322.0, 236.0, "brown_conrady", (-0.15, 0.05, 0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten photos, one of them blurred and one without a board; and the board's YAML."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "board.yaml").write_text(board_yaml(DEFAULT))
    views = viewpoints(np.random.default_rng(3), 12, 35.0, 90.0, (0.3, 0.4), DEFAULT.points.mean(axis=0))
    for i, pose in enumerate(views):
        image = render_board(DEFAULT, pose, LENS, blur_px=2.2 if i == 4 else 0.6)
        Image.fromarray(image if i != 7 else np.full_like(image, 90)).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Samples by the simulated arm, and its truth."""
    folder = tmp_path_factory.mktemp("recorded") / "samples"
    assert main(["calibrate", "capture", "--simulated", "--count", "9", "--seed", "2", "--out", str(folder)]) == 0
    return folder


def test_board_writes_pdf_and_yaml(tmp_path, capsys):
    assert main(["calibrate", "board", "--kind", "apriltag", "--out", str(tmp_path / "a/tags"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["board"]["kind"] == "apriltag"
    assert (tmp_path / "a/tags.pdf").read_bytes().startswith(b"%PDF")


def test_intrinsics_from_photos(photos, tmp_path, capsys):
    factory = tmp_path / "factory.json"
    factory.write_text(json.dumps(LENS.to_dict()))
    words = ["calibrate", "intrinsics", "--images", str(photos), "--board", str(photos / "board.yaml"), "--json"]
    assert main([*words, "--factory", str(factory), "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert "12/12" in captured.err
    found = load_intrinsics(tmp_path / "out/intrinsics.yaml")
    assert abs(found.fx - LENS.fx) < 4 * answer["sigma"]["fx"] < 20
    assert answer["rms_px"] < 0.15 and answer["factory_difference_px"]["rms"] < 1.0
    reasons = {item["name"]: item["reason"] for item in answer["dropped"]}
    assert "blurred" in reasons["04.png"] and "no board" in reasons["07.png"]
    report = (tmp_path / "out/report.html").read_text()
    assert report.count("<svg") == 3 and "data:image/png" in report and "no board found" in report


@pytest.mark.parametrize(
    ("keep", "words"),
    [(3, "at least 5 usable photos"), (0, "must show the board")],
)
def test_bad_photos_write_nothing(photos, tmp_path, capsys, keep, words):
    folder = tmp_path / "few"
    folder.mkdir()
    for i in range(3):
        image = Image.open(photos / f"{i:02d}.png") if i < keep else Image.new("RGB", (640, 480))
        image.save(folder / f"{i}.png")
    out = tmp_path / "out"
    code = main(["calibrate", "intrinsics", "--images", str(folder), "--board", str(photos / "board.yaml"), "--out", str(out)])
    assert code == 1 and not out.exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("molmo-point")]
    assert len(lines) == 1 and words in lines[0]


def test_mixed_sizes_write_nothing(photos, tmp_path, capsys):
    Image.new("RGB", (320, 240)).save(tmp_path / "small.png")
    files = [str(photos / "00.png"), str(tmp_path / "small.png")]
    out = tmp_path / "out"
    assert main(["calibrate", "intrinsics", "--images", *files, "--board", str(photos / "board.yaml"), "--out", str(out)]) == 1
    assert "must have one size" in capsys.readouterr().err and not out.exists()


def test_hand_eye_and_verify(recorded, tmp_path, capsys):
    out = tmp_path / "out"
    driver = tmp_path / "driver.yaml"
    camera_link = np.eye(4)
    camera_link[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    from molmo_point.geometry.transforms import Transform

    save_transform(driver, Transform.from_matrix("camera_link", "camera_color_optical_frame", camera_link))
    command = ["calibrate", "hand-eye", str(recorded), "--out", str(out), "--driver-transform", str(driver), "--json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] and answer["held_out"]["rms_mm"] < 2.0
    assert "--child-frame-id camera_link" in answer["ros2"] and "--frame-id tool0" in answer["ros2"]
    found = load_transform(out / "hand_eye.yaml")
    assert found.covariance is not None and found.target == "tool0"
    assert "PASSED" in (out / "report.html").read_text()
    # The same samples judge the calibration, and a shifted one.
    assert (
        main(["calibrate", "verify", str(out / "hand_eye.yaml"), "--samples", str(recorded), "--out", str(tmp_path / "v")]) == 0
    )
    shifted = Transform.from_matrix("tool0", found.source, found.matrix @ tilted(0.05))
    save_transform(tmp_path / "bad.yaml", shifted)
    capsys.readouterr()
    assert (
        main(["calibrate", "verify", str(tmp_path / "bad.yaml"), "--samples", str(recorded), "--out", str(tmp_path / "w")]) == 4
    )
    assert "NOT PASSED" in capsys.readouterr().out


def tilted(angle):
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[0, 3] = 0.01
    return matrix


def test_a_tight_tolerance_fails_with_its_own_code(recorded, tmp_path, capsys):
    code = main(["calibrate", "hand-eye", str(recorded), "--tolerance-mm", "0.05", "--out", str(tmp_path / "out")])
    assert code == 4 and "NOT PASSED" in capsys.readouterr().out
    assert (tmp_path / "out/hand_eye.yaml").read_text().startswith("# NOT PASSED")


def test_a_swapped_setup_is_said(recorded, tmp_path, capsys):
    code = main(["calibrate", "hand-eye", str(recorded), "--setup", "eye_to_hand", "--out", str(tmp_path / "out"), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert code == 4 and answer["causes"][0]["name"] == "setup_swapped"


def test_touches(tmp_path, capsys):
    from molmo_point.geometry.transforms import Transform

    save_transform(tmp_path / "t.yaml", Transform("base_link", "camera", np.eye(3), [0.0, 0.0, 1.0]))
    points = np.random.default_rng(0).uniform(0, 0.3, (5, 3))
    touches = [{"camera_point_m": p.tolist(), "touched_base_m": (p + np.array([0.002, 0, 1.0])).tolist()} for p in points]
    (tmp_path / "touch.yaml").write_text(yaml.safe_dump({"touches": touches}))
    words = [
        "calibrate",
        "verify",
        str(tmp_path / "t.yaml"),
        "--touch",
        str(tmp_path / "touch.yaml"),
        "--out",
        str(tmp_path / "o"),
    ]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rms_mm"] == pytest.approx(2.0)
    assert main([*words, "--tolerance-mm", "1"]) == 4


def test_robot_poses_come_as_lines():
    from molmo_point.cli.calibrate.capture_command import poses_from
    from molmo_point.errors import InputError

    (pose,) = poses_from(["\n", "0.1, 0.2 0.3 0 0 0 1\n"])
    assert np.allclose(difference(pose, np.eye(4)), [0.1, 0.2, 0.3, 0, 0, 0])
    with pytest.raises(InputError, match="seven numbers"):
        list(poses_from(["1 2 3"]))


def test_intrinsics_from_a_recording_compare_with_the_factory(photos, tmp_path, capsys):
    from molmo_point.camera.recording import RecordingWriter
    from molmo_point.frame import RgbdFrame

    with RecordingWriter(tmp_path / "r.zip") as writer:
        for i in (0, 1, 2, 3, 5, 6):
            image = np.array(Image.open(photos / f"{i:02d}.png"))
            writer.write(RgbdFrame(image, None, LENS, 1_000_000_000 * (i + 1)))
    words = ["calibrate", "intrinsics", "--recording", str(tmp_path / "r.zip"), "--board", str(photos / "board.yaml")]
    assert main([*words, "--model", "k1 k2", "--json", "--out", str(tmp_path / "out")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["model"] == "k1 k2" and len(answer["images"]) == 6
    assert 0.0 < answer["factory_difference_px"]["rms"] < 2.0
    assert any("Only 6 photos" in words for words in answer["warnings"])
