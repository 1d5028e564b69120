"""`point` without a depth camera: by a plane, by a board, and by further views."""

import json

import numpy as np
import pytest
from PIL import Image

from molmo_point.backend import WholeAnswerBackend
from molmo_point.calibration.boards import DEFAULT, board_yaml
from molmo_point.calibration.rehearsal_arm import render_board
from molmo_point.cli import main
from molmo_point.geometry.rigid import motion, rotation_exp
from molmo_point.geometry.transforms import save_transform
from molmo_point.pointer import Pointer
from molmo_point.results import Completion
from molmo_point.sim.camera_pose import CameraPose, camera_geometry

TRUE_M = np.array([0.03, -0.02, 0.04])
EYES = ((0.5, 0.0, 0.4), (0.4, 0.3, 0.4))


class Seeing(WholeAnswerBackend):
    """Points at one place of the table, as the camera of the image sees it; the first pixel numbers the cameras."""

    name = "seeing"

    def answer(self, image, prompt, limits):
        intrinsics, pose = camera_geometry(CameraPose(EYES[image[0, 0, 0] % 2], (0.0, 0.0, 0.0), 45.0), 640, 480)
        x, y = (intrinsics.project(pose.inverse().apply(TRUE_M, "base")) + 0.5) * 100 / np.array([640, 480])
        return Completion(f' <point x="{x:.2f}" y="{y:.2f}" alt="cup">cup</point>', 12, "stop")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Pointer, "from_pretrained", staticmethod(lambda *_, **__: Pointer(Seeing())))
    monkeypatch.chdir(tmp_path)
    for number, eye in enumerate(EYES):
        intrinsics, pose = camera_geometry(CameraPose(eye, (0.0, 0.0, 0.0), 45.0), 640, 480)
        color = np.random.default_rng(0).integers(20, 230, (48, 64, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        color[0, 0] = number
        Image.fromarray(color).save(f"{number}.png")
        save_transform(f"{number}.yaml", pose)
    (tmp_path / "k.json").write_text(json.dumps(intrinsics.to_dict()))
    (tmp_path / "table.yaml").write_text("frame: base\nz_m: 0.01\nheight_sigma_m: 0.01\n")
    return tmp_path


def point(capsys, *more):
    code = main(["point", "cup", "--image", "0.png", "--intrinsics", "k.json", "--json", *more])
    captured = capsys.readouterr()
    return code, json.loads(captured.out)["targets"][0] if code == 0 else captured.err


def test_a_plane_in_the_base_frame_gives_a_target(folder, capsys):
    code, target = point(capsys, "--transform", "0.yaml", "--plane", "table.yaml", "--height", "0.03")
    assert (code, target["depth_status"], target["frame"]) == (0, "ON_PLANE", "base")
    np.testing.assert_allclose(target["position_m"], TRUE_M, atol=0.001)


def test_further_views_give_a_target(folder, capsys):
    code, target = point(capsys, "--transform", "0.yaml", "--view", "1.png", "1.yaml")
    assert (code, target["depth_status"], target["frame"]) == (0, "TRIANGULATED", "base")
    np.testing.assert_allclose(target["position_m"], TRUE_M, atol=0.001)


def test_every_view_of_a_turned_camera_is_shown_upright(folder, capsys, monkeypatch):
    shapes, answer = [], Seeing.answer
    monkeypatch.setattr(Seeing, "answer", lambda self, image, *rest: shapes.append(image.shape) or answer(self, image, *rest))
    point(capsys, "--transform", "0.yaml", "--view", "1.png", "1.yaml", "--rotate", "90")
    assert shapes == [(640, 480, 3)] * 2


def test_a_board_in_the_image_gives_the_plane(folder, capsys):
    pose = motion(rotation_exp(np.array([0.7, 0.0, 0.0])), np.array([0.0, 0.0, 0.5]))
    intrinsics, _ = camera_geometry(CameraPose(EYES[0], (0.0, 0.0, 0.0), 45.0), 640, 480)
    pose[:3, 3] -= pose[:3, :3] @ DEFAULT.points.mean(axis=0)
    color = render_board(DEFAULT, pose, intrinsics)
    color[0, 0] = 0
    Image.fromarray(color).save("0.png")
    (folder / "board.yaml").write_text(board_yaml(DEFAULT))
    code, target = point(capsys, "--board-plane", "board.yaml", "--height", "0")
    assert (code, target["depth_status"]) == (0, "ON_PLANE")
    local = pose[:3, :3].T @ (np.array(target["position_m"]) - pose[:3, 3])
    assert abs(local[2]) < 0.003


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plane", "table.yaml"], "--transform"),
        (["--plane", "table.yaml", "--view", "1.png", "1.yaml"], "choose one way"),
        (["--view", "1.png", "1.yaml"], "--transform"),
        (["--height", "0.1"], "--plane"),
        (["--plane", "absent.yaml"], "absent.yaml"),
    ],
)
def test_options_that_do_not_go_together_are_refused(folder, capsys, options, said):
    code, error = point(capsys, *options)
    assert code == 1 and said in error and "Traceback" not in error
