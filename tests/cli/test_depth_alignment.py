"""Depth that does not belong to the color images, as the commands report it."""

import json
from pathlib import Path

import numpy as np
import pytest

from molmo_point.camera.recording import RecordingWriter
from molmo_point.cli import main
from molmo_point.cli.depth_alignment import examine_alignment
from molmo_point.cli.doctor import doctor_command
from molmo_point.cli.doctor.probes import NOTE, OK, WARN
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.transforms import Transform, save_transform
from molmo_point.pointer import Pointer
from tests.depth.test_alignment_check import drawn, shifted

from .test_point import ONE, ScriptedBackend


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Recordings with aligned and displaced depth, without outlines, and without depth."""
    root, aligned, displaced = tmp_path_factory.mktemp("recordings"), drawn(shifted(0.0)), drawn(shifted(16.0))
    flat = np.full_like(aligned.depth_m, 0.8)
    frames = {
        "aligned": aligned,
        "displaced": displaced,
        "flat": RgbdFrame(aligned.color, flat, aligned.intrinsics, 1),
        "color": RgbdFrame(aligned.color, None, aligned.intrinsics, 1),
    }
    for name, frame in frames.items():
        with RecordingWriter(root / name) as writer:
            writer.write(frame)
    return {name: f"recording:{root / name}" for name in frames}


def test_the_doctor_reports_shift_sigma_and_remedy(folders: dict[str, str]) -> None:
    found = doctor_command._alignment(folders["displaced"])
    assert found.status == WARN and "u -16.0 ±" in found.found and "in 1 frame" in found.found and "align_depth" in found.fix
    assert found.report is not None and found.report["misaligned"] and found.report["frames"] == 1
    flat = doctor_command._alignment(folders["flat"])
    assert (flat.status, flat.report["misaligned"]) == (NOTE, False) and "move the camera" in flat.fix
    color = doctor_command._alignment(folders["color"])
    assert color.status == NOTE and "no depth" in color.found
    nothing = doctor_command._alignment("recording:/nowhere")
    assert nothing.status == WARN and nothing.fix


@pytest.mark.slow
def test_the_doctor_and_the_verification_pass_aligned_depth(folders: dict[str, str], tmp_path: Path) -> None:
    found = doctor_command._alignment(folders["aligned"])
    assert found.status == OK and not found.fix and "no significant displacement" in found.found
    assert not examine_alignment("simulated:3").misaligned


@pytest.mark.parametrize(("name", "code"), [("displaced", 4), ("flat", 0)])
def test_the_verification_reports_the_alignment(
    folders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    save_transform(tmp_path / "t.yaml", Transform("base_link", "camera", np.eye(3), np.array([0.0, 0.0, 1.0])))
    points = np.random.default_rng(0).uniform(0, 0.3, (5, 3))
    touches = [{"camera_point_m": p.tolist(), "touched_base_m": (p + np.array([0, 0, 1.0])).tolist()} for p in points]
    (tmp_path / "touch.json").write_text(json.dumps({"touches": touches}))
    words = ["calibrate", "verify", str(tmp_path / "t.yaml"), "--touch", str(tmp_path / "touch.json")]
    out = tmp_path / "out"
    assert main([*words, "--out", str(out), "--camera", folders[name]]) == code
    told = capsys.readouterr().out
    assert ("NOT PASSED" in told) == ("does not belong" in told) == (code == 4)
    assert ("does not belong" in (out / "report.html").read_text()) == (code == 4)


def test_point_warns_of_displaced_depth(
    folders: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = ScriptedBackend(ONE)
    monkeypatch.setattr(Pointer, "from_pretrained", lambda *_, **__: Pointer(backend))
    assert main(["point", "red mug", "--camera", folders["displaced"], "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert not answer["trusted"] and answer["cautions"][-1]["kind"] == "MISALIGNED_DEPTH"
    assert answer["depth_alignment"]["misaligned"] and answer["depth_alignment"]["shift_px"][0] == pytest.approx(-16, abs=3)
    assert main(["point", "red mug", "--camera", folders["flat"]]) == 0
    assert "MISALIGNED_DEPTH" not in capsys.readouterr().out
