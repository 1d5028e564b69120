"""Pointing in several views: association, the frame of the targets, and what is carried on."""

import numpy as np
import pytest

from molmo_point.cautions import CautionKind
from molmo_point.errors import FrameError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.pointer import Pointer
from molmo_point.results import DepthStatus
from molmo_point.several_views import PosedFrame, point_in_views
from molmo_point.sim.camera_pose import CameraPose, camera_geometry
from tests.scripted_backend import Scripted

CUPS = np.array([[0.06, 0.02, 0.04], [-0.08, -0.03, 0.05]])


class Seeing(Scripted):
    """Points at the cups as the camera of the image, which is numbered by its first pixel, sees them."""

    def __init__(self, views, missing=()):
        super().__init__("")
        self.views, self.missing = views, missing

    def answers(self, image, prompts, limits):
        number = int(image[0, 0, 0])
        view = self.views[number]
        uv = view.frame.intrinsics.project(view.world_T_camera.inverse().apply(CUPS, "base"))
        x, y = (uv + 0.5).T * 100 / np.array([[640], [480]])
        # Every view numbers the cups in another order.
        order = [0, 1] if number % 2 == 0 else [1, 0]
        shown = " ".join(f'x{i + 1}="{x[k]:.1f}" y{i + 1}="{y[k]:.1f}"' for i, k in enumerate(order))
        self.text = " There are none." if number in self.missing else f' <points {shown} alt="cups">cups</points>'
        yield from super().answers(image, prompts, limits)


def posed(number, degrees):
    angle = np.deg2rad(degrees)
    intrinsics, pose = camera_geometry(CameraPose((0.5 * np.cos(angle), 0.5 * np.sin(angle), 0.4), (0, 0, 0), 45.0), 640, 480)
    color = np.random.default_rng(3).integers(20, 230, (480, 640, 3), np.uint8)
    color[0, 0] = number
    return PosedFrame(RgbdFrame(color, None, intrinsics, 100 + number), pose)


VIEWS = [posed(0, 0), posed(1, 30), posed(2, -25)]


def test_the_same_objects_are_found_in_the_frame_of_the_first_view():
    pointing = point_in_views(Pointer(Seeing(VIEWS)), VIEWS, "cups")
    assert [found.target.depth_status for found in pointing] == [DepthStatus.TRIANGULATED] * 2
    assert (pointing.stamp_ns, pointing.targets[0].stamp_ns, pointing.targets[0].frame) == (100, 100, VIEWS[0].frame.frame)
    for target, true_m in zip(pointing.targets, CUPS):
        in_base = target.transformed(VIEWS[0].world_T_camera)
        # Coordinates are written in tenths of a percent of the image.
        np.testing.assert_allclose(in_base.position_m, true_m, atol=0.004)
        away = in_base.position_m - true_m
        assert away @ np.linalg.solve(in_base.covariance_m2, away) < 9.0


def test_a_point_that_no_other_view_confirms_has_a_reason():
    pointing = point_in_views(Pointer(Seeing(VIEWS, missing=(1, 2))), VIEWS, "cups")
    assert [found.reason.reason for found in pointing] == [DepthStatus.NO_MATCH] * 2


def test_cautions_of_every_view_are_carried_on():
    dark = RgbdFrame(np.zeros_like(VIEWS[1].frame.color), None, VIEWS[1].frame.intrinsics, 101)
    dark.color[0, 0] = 1
    views = [VIEWS[0], PosedFrame(dark, VIEWS[1].world_T_camera)]
    pointing = point_in_views(Pointer(Seeing(VIEWS)), views, "cups")
    assert CautionKind.POOR_IMAGE in {caution.kind for caution in pointing.cautions}


def test_impossible_views_are_refused():
    with pytest.raises(InputError, match="two or more"):
        point_in_views(Pointer(Seeing(VIEWS)), VIEWS[:1], "cups")
    with pytest.raises(InputError, match="intrinsics"):
        PosedFrame(RgbdFrame(VIEWS[0].frame.color, None, None, 1), VIEWS[0].world_T_camera)
    with pytest.raises(FrameError, match="must start in the frame of the image"):
        PosedFrame(VIEWS[0].frame, VIEWS[0].world_T_camera.inverse())
