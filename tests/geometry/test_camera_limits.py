"""Intrinsics that are legal numbers and no camera of their image: refused with the figure."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_point.errors import InputError
from molmo_point.geometry.intrinsics import Intrinsics

CAMERA = Intrinsics(640, 480, 600.0, 610.0, 322.0, 239.0)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0}, "fx=1, fy=1"),
        ({"fx": 60.0, "fy": 60.0}, "fx=60"),
        ({"fx": 1e-3, "fy": 1e-3}, "fx=0.001"),
        ({"fx": 1e9, "fy": 1e9}, "fx=1e+09"),
        ({"fx": 13_000.0, "fy": 13_000.0}, "fx=13000"),
        ({"fx": 7200.0}, "fx=7200, fy=610"),
        ({"fx": 1220.0}, "fx=1220, fy=610"),
        ({"cx": 3200.0}, "cx=3200"),
        ({"cy": -1.0}, "cy=-1"),
        ({"cx": 1e308}, "cx=1e+308"),
        ({"cx": 239.0, "cy": 322.0}, "cx=239, cy=322"),
    ],
)
def test_no_camera_of_this_image(change: dict, part: str) -> None:
    with pytest.raises(InputError) as caught:
        dataclasses.replace(CAMERA, **change)
    assert part in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("size_wh", [(1920, 1440), (1280, 960), (320, 240), (1280, 720), (1920, 1080), (424, 320)])
def test_intrinsics_of_another_resolution_are_refused(size_wh: tuple[int, int]) -> None:
    other = CAMERA.scaled(*size_wh)
    with pytest.raises(InputError, match="principal point"):
        Intrinsics(640, 480, other.fx, other.fy, other.cx, other.cy)


@pytest.mark.parametrize(
    "values",
    [
        (640, 480, 70.0, 70.0, 319.5, 239.5),
        (640, 480, 12_000.0, 12_000.0, 319.5, 239.5),
        (512, 424, 366.0, 366.0, 257.0, 210.0),
        (561, 427, 518.9, 519.5, 284.6, 208.7),
        (1242, 375, 721.5, 721.5, 609.6, 172.9),
        (480, 640, 610.0, 600.0, 240.0, 318.0),
        (224, 224, 160.0, 284.0, 111.5, 111.5),
        (3, 2, 4.0, 4.5, 1.0, 0.5),
    ],
)
def test_real_cameras_pass(values: tuple) -> None:
    assert Intrinsics(*values).size_wh == values[:2]


def test_a_crop_keeps_the_camera_it_was_cut_from() -> None:
    corner = CAMERA.cropped(600, 10, 20, 30)
    assert (corner.cx, corner.cy, corner.whole) == (-278.0, 229.0, (600.0, 10.0, 640.0, 480.0))
    inner = corner.cropped(5, 5, 10, 10)
    assert inner.whole == (605.0, 15.0, 640.0, 480.0)
    read = Intrinsics.from_dict(json.loads(json.dumps(inner.to_dict())))
    assert (read, read.whole) == (inner, inner.whole)
    with pytest.raises(InputError, match="cropped_from"):
        Intrinsics(20, 30, corner.fx, corner.fy, corner.cx, corner.cy)
    with pytest.raises(InputError, match="within the whole image"):
        CAMERA.cropped(600, 10, 100, 30)


@given(x=st.integers(0, 600), y=st.integers(0, 440), binning=st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_law_windows_and_binning_of_a_camera_are_cameras(x: int, y: int, binning: tuple[int, int]) -> None:
    window = CAMERA.cropped(x, y, 40, 40)
    binned = window.scaled(40 // binning[0], 40 // binning[1])
    edge = window.deproject([-0.5, -0.5], 1.0)
    assert binned.project(edge).tolist() == pytest.approx([-0.5, -0.5], abs=1e-9)
    if binning[0] == binning[1]:
        assert Intrinsics.from_dict(binned.to_dict()) == binned
