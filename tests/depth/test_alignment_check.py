"""Displacement of depth against color: found on drawn scenes with grown outlines and holes, and not claimed on real frames."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from molmo_point.camera.image_file import load_frame
from molmo_point.cautions import CautionKind
from molmo_point.depth.alignment_check import (
    AlignmentCheck,
    AlignmentEvidence,
    Misfit,
    check_alignment,
    depth_caution,
    with_check,
)
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from tests.real_data import ROOM, needs_real

from .test_frame_noise import FRAMES, real_frame

LENS = Intrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)
Place = Callable[[float, float, float], tuple[float, float]]
"""Pixel (u, v) at which depth shows what color shows at u, v, for a depth in meters."""


def drawn(place: Place, seed: int = 0, *, textured: bool = False, growth: int = 2) -> RgbdFrame:
    """Boxes in front of a wall: color exact, depth grown, with a hole of 4 px on the right sides, and noisy."""
    rng = np.random.default_rng(seed)
    color = np.full((480, 640, 3), 110, np.uint8)
    depth_m = np.full((480, 640), 1.3, np.float32)
    boxes = [(u, v, rng.uniform(0.5, 0.95)) for u in range(50, 620, 95) for v in range(50, 460, 90)]
    for u, v, z in sorted(boxes, key=lambda box: -box[2]):
        half = rng.integers(14, 28, 2)
        color[v - half[1] : v + half[1], u - half[0] : u + half[0]] = rng.integers(0, 255, 3)
        corners = [place(u + side * half[0], v + side * half[1], z) for side in (-1, 1)]
        (left, top), (right, bottom) = np.rint(corners).astype(int)
        left, top = max(left - growth, 0), max(top - growth, 0)
        depth_m[top : bottom + growth, left : max(right + growth + 4, 0)] = np.nan
        depth_m[top : bottom + growth, left : max(right + growth, 0)] = z
    if textured:
        color = np.clip(color + rng.normal(0, 25, color.shape), 0, 255).astype(np.uint8)
    return RgbdFrame(color, (depth_m + rng.normal(0, 0.002, depth_m.shape)).astype(np.float32), LENS, 1)


def shifted(du: float, dv: float = 0.0) -> Place:
    return lambda u, v, z: (u + du, v + dv)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("textured", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_aligned_depth_with_grown_outlines_is_no_misfit(seed: int, textured: bool) -> None:
    found = check_alignment(drawn(shifted(0.0), seed, textured=textured))
    assert not found.misaligned
    assert np.abs(found.shift_px).max() <= 4.0 and min(found.cells) > 20


@pytest.mark.parametrize("growth", [9, pytest.param(-7, marks=pytest.mark.slow)])
def test_growth_on_both_sides_is_no_shift(growth: int) -> None:
    found = check_alignment(drawn(shifted(0.0), growth=growth))
    assert not found.misaligned and np.abs(found.shift_px).max() <= 4.0
    assert check_alignment(drawn(shifted(16.0), growth=growth)).misaligned


SHIFTS = ((-20.0, 0.0), (0.0, 12.0), (0.0, -9.0), (40.0, 12.0))


@pytest.mark.parametrize(("du", "dv"), [(9.0, 0.0), *(pytest.param(*shift, marks=pytest.mark.slow) for shift in SHIFTS)])
def test_a_shift_is_found_with_its_size_and_direction(du: float, dv: float) -> None:
    found = check_alignment(drawn(shifted(du, dv)))
    assert found.misaligned
    # Depth lies du to the right of color, so color lies -du from depth.
    np.testing.assert_allclose(found.shift_px, [-du, -dv], atol=3.0)
    assert max(found.sigma_px) < 4.0


@pytest.mark.parametrize("baseline_m", [0.015, pytest.param(-0.05, marks=pytest.mark.slow)])
def test_depth_in_the_view_of_its_own_imager_is_found(baseline_m: float) -> None:
    found = check_alignment(drawn(lambda u, v, z: (u + LENS.fx * baseline_m / z, v)))
    assert found.misaligned and found.kinds[0] is Misfit.BASELINE
    assert found.shift_px[0] == pytest.approx(-LENS.fx * baseline_m / 0.7, rel=0.35)


@pytest.mark.parametrize("scale", [pytest.param(0.7, marks=pytest.mark.slow), pytest.param(0.85, marks=pytest.mark.slow)])
def test_another_field_of_view_is_found(scale: float) -> None:
    found = check_alignment(drawn(lambda u, v, z: (LENS.cx + (u - LENS.cx) * scale, LENS.cy + (v - LENS.cy) * scale)))
    assert found.misaligned and Misfit.SCALE in found.kinds


def test_nothing_is_said_where_the_edges_cannot_tell() -> None:
    flat = RgbdFrame(np.zeros((480, 640, 3), np.uint8), np.full((480, 640), 0.8, np.float32), LENS, 1)
    gray = drawn(shifted(20.0))
    unseen = RgbdFrame(np.full((480, 640, 3), 90, np.uint8), gray.depth_m, LENS, 1)
    for frame in (flat, unseen):
        assert not check_alignment(frame).misaligned
    assert np.isnan(check_alignment(flat).shift_px).all()
    with pytest.raises(InputError, match="depth and intrinsics"):
        check_alignment(RgbdFrame(flat.color, None, LENS, 1))


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["hammer", *FRAMES])
def test_no_alarm_on_real_frames(name: str) -> None:
    found: AlignmentCheck = check_alignment(real_frame(name))
    assert not found.misaligned


def moved(frame: RgbdFrame, by_px: int) -> RgbdFrame:
    """Shift the depth of a frame along its rows, by pixels of an image of 640."""
    by = round(by_px * max(frame.size_wh) / 640)
    depth_m = np.roll(frame.depth_m, by, axis=1)
    depth_m[:, slice(0, by) if by > 0 else slice(by or depth_m.shape[1], None)] = np.nan
    return replace(frame, depth_m=depth_m)


def few_boxes(frame: RgbdFrame, left: int) -> RgbdFrame:
    """Leave a band of a drawn frame, too narrow to tell alone."""
    color, depth_m = np.full_like(frame.color, 110), np.full_like(frame.depth_m, 1.3)
    band = slice(left, left + 160)
    color[:, band], depth_m[:, band] = frame.color[:, band], frame.depth_m[:, band]
    return replace(frame, color=color, depth_m=depth_m)


def bands(du: float) -> list[RgbdFrame]:
    return [few_boxes(drawn(shifted(du), seed), left) for seed, left in enumerate((0, 150, 300, 450))]


def test_frames_tell_more_together_than_alone_and_a_still_camera_no_more() -> None:
    frames = bands(-9.0)[:2]
    once, still, together = check_alignment(frames[0]), check_alignment(*frames[:1] * 2), check_alignment(*frames)
    assert still.cells == once.cells and (still.frames, together.frames) == (2, 2)
    assert still.significance[0] == pytest.approx(once.significance[0], rel=0.01)
    assert together.misaligned and together.significant[0] and together.shift_px[0] == pytest.approx(9.0, abs=3.0)
    assert together.significance[0] > 1.2 * once.significance[0]


@pytest.mark.slow
def test_aligned_frames_are_no_misfit_together() -> None:
    assert check_alignment(*bands(-9.0)).misaligned
    assert not check_alignment(*bands(0.0)).misaligned


def test_another_camera_starts_from_nothing() -> None:
    evidence, frame = AlignmentEvidence(), drawn(shifted(16.0))
    assert not evidence.check().can_tell and evidence.check().frames == 0
    evidence.add(frame)
    assert evidence.check().misaligned
    flat = replace(frame, depth_m=np.full_like(frame.depth_m, 0.8), frame="another")
    evidence.add(flat)
    assert evidence.check().frames == 1 and not evidence.check().can_tell
    assert "too few outlines" in evidence.check().sentence


def test_doubted_depth_bears_a_caution() -> None:
    frame = drawn(shifted(-16.0))
    check = check_alignment(frame)
    assert "u +16.0" in check.sentence and "displaced alike" in check.sentence
    assert check.to_dict()["misaligned"] and check.to_dict()["kinds"][0] == "shift"
    caution = depth_caution(with_check(frame, check))
    assert caution is not None and caution.kind is CautionKind.MISALIGNED_DEPTH and "align" in caution.message
    stated = replace(frame, depth_doubt="stated")
    assert with_check(stated, check).depth_doubt == "stated"
    assert depth_caution(frame) is None and with_check(frame, None) is frame
    assert depth_caution(replace(stated, depth_m=None)) is None
    assert with_check(frame, replace(check, significant=(False, False))) is frame


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("by_px", [0, 8, -8, 16, -16])
def test_five_views_of_a_room_tell_a_small_shift(by_px: int) -> None:
    views = [
        load_frame(ROOM / f"color_{k}.jpg", ROOM / f"depth_{k}.png", ROOM / "intrinsics.json", depth_scale_m=0.001)
        for k in range(1, 6)
    ]
    found = check_alignment(*(moved(view, by_px) for view in views))
    assert found.misaligned == (by_px != 0)
    assert found.shift_px[0] == pytest.approx(-by_px, abs=4.0)
