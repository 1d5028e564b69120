"""A square around the last point: where it lies, and that points come back to the pixel they were taken from."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from molmo_point.backend import WholeAnswerBackend
from molmo_point.crop import LEAST_PX, Region, region_near
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.patch_features import PatchFeatures
from molmo_point.pointer import Pointer
from molmo_point.results import Completion, Found, ImagePoint, Pointing
from molmo_point.trust.image_familiarity import ImageFamiliarity
from molmo_point.trust.training_description import TrainingDescription

WH = (640, 480)
MARK = (433, 121)  # column and row of the only white pixel


def frame() -> RgbdFrame:
    color = np.zeros((480, 640, 3), np.uint8)
    color[MARK[1], MARK[0]] = 255
    return RgbdFrame(color, np.full((480, 640), 0.6, np.float32), Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5), 5)


class Finder(WholeAnswerBackend):
    """Points at the white pixel of whatever it is shown, in per cent measured from the edges."""

    name = "finder"

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def answer(self, image, prompt, limits) -> Completion:
        self.sizes.append(image.shape[:2])
        rows, columns = np.nonzero(image[..., 0])
        text = " There are none."
        if len(rows):
            x, y = 100 * (columns[0] + 0.5) / image.shape[1], 100 * (rows[0] + 0.5) / image.shape[0]
            text = f' <point x="{x:.1f}" y="{y:.1f}" alt="a">a</point>'
        return Completion(text, 9, "stop", absent_probability=0.2)


class Chooser(Finder):
    """A finder that knows whole images only."""

    training = TrainingDescription(familiarity=ImageFamiliarity.fit(np.random.default_rng(1).normal(size=(40, 4))))

    def answer(self, image, prompt, limits) -> Completion:
        strange = 0.0 if image.shape == (480, 640, 3) else 1e3
        features = PatchFeatures.of_overview(strange + np.array([[1.0, 1.0], [-1.0, -1.0]] * 2), WH)
        return replace(super().answer(image, prompt, limits), features=features)


def empty(points: tuple[ImagePoint, ...] = ()) -> Pointing:
    return Pointing("a", "m", "", not points, tuple(Found(point, None) for point in points), {}, 1, "cam")


@pytest.mark.parametrize("size_px", [33, 100, 101, 479.6])
def test_points_of_the_crop_come_back_to_their_pixel(size_px: float) -> None:
    rng = np.random.default_rng(0)
    image = frame()
    for _ in range(40):
        near = tuple(np.array(MARK) + rng.uniform(-15, 15, 2))
        region = region_near(near, WH, size_px)
        assert region is not None
        rows, columns = np.nonzero(region.crop(image).color[..., 0])
        back = region.to_image(ImagePoint(float(columns[0]), float(rows[0]), "a"))
        assert (back.u, back.v) == MARK
        assert (region.w, region.h) == (round(size_px),) * 2


def test_the_square_is_centered_and_stays_inside() -> None:
    # Columns 270 … 369 have their middle at 319.5.
    assert region_near((319.5, 239.5), WH, 100) == Region(270, 190, 100, 100)
    assert region_near((-0.5, 479.5), WH, 100) == Region(0, 380, 100, 100)
    assert region_near((639.5, -0.5), WH) == Region(400, 0, 240, 240)
    assert region_near((600.0, 10.0), WH, 560) == Region(80, 0, 560, 480)
    assert region_near((5.0, 5.0), WH, 640) is None
    assert region_near(ImagePoint(319.5, 239.5, "a"), WH, 100) == Region(270, 190, 100, 100)


def test_all_points_of_an_answer_are_inside() -> None:
    points = (ImagePoint(100.0, 200.0, "a"), ImagePoint(300.0, 260.0, "a"))
    region = region_near(empty(points), WH, 50)
    assert region is not None and region.w == 400 and region.h == 400
    assert all(region.x0 <= p.u < region.x0 + region.w and region.y0 <= p.v < region.y0 + region.h for p in points)
    assert region_near(empty(), WH) is None


@pytest.mark.parametrize("near", [(640.0, 5.0), (5.0, -0.6), (math.nan, 5.0), (1.0,), "12", 7, ("a", "b"), None])
def test_places_that_are_none_are_refused(near: Any) -> None:
    with pytest.raises(InputError, match="near must be"):
        region_near(near, WH)


@pytest.mark.parametrize("size_px", [0, -5, LEAST_PX - 1, math.nan, math.inf, True, "40"])
def test_sizes_that_are_none_are_refused(size_px: Any) -> None:
    with pytest.raises(InputError, match="near_size_px must be at least 32"):
        region_near((5.0, 5.0), WH, size_px)


def test_pointing_near_looks_at_the_region_and_answers_in_the_image() -> None:
    backend, told = Finder(), []
    pointing = Pointer(backend).point(frame(), "a", near=(420.0, 130.0), near_size_px=100, on_points=told.append)
    assert backend.sizes == [(100, 100)] and pointing.region == (370, 80, 100, 100)
    (point,) = pointing.points
    assert (point.u, point.v) == pytest.approx(MARK, abs=0.051)
    assert point.sigma_px == pytest.approx(6.4), "one per cent of the whole image"
    assert told[0][0].uv.tolist() == point.uv.tolist()
    (target,) = pointing.targets
    np.testing.assert_allclose(target.position_m, [(433 - 319.5) * 1e-3, (121 - 239.5) * 1e-3, 0.6], atol=2e-4)
    assert pointing.to_dict()["region"] == [370, 80, 100, 100]


def test_where_nothing_is_found_the_whole_image_is_looked_at() -> None:
    backend = Finder()
    pointing = Pointer(backend).point(frame(), "a", near=(50.0, 400.0), near_size_px=100)
    assert backend.sizes == [(100, 100), (480, 640)] and pointing.region is None
    assert pointing.points[0].uv == pytest.approx(MARK, abs=0.4)
    assert pointing.to_dict()["region"] is None


def test_without_a_place_the_whole_image_is_looked_at() -> None:
    for near in (None, empty()):
        backend = Finder()
        assert Pointer(backend).point(frame(), "a", near=near).region is None
        assert backend.sizes == [(480, 640)]


def test_where_the_square_is_unfamiliar_the_whole_image_is_looked_at() -> None:
    backend = Chooser()
    pointing = Pointer(backend).point(frame(), "a", near=(420.0, 130.0), near_size_px=100)
    assert backend.sizes == [(100, 100), (480, 640)] and pointing.region is None
    assert "UNFAMILIAR_IMAGE" not in [caution.kind.value for caution in pointing.cautions]
    assert pointing.points[0].uv == pytest.approx(MARK, abs=0.4)
