"""The statistics of depth images, on images whose statistics are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sensors.frame_statistics import FrameStatistics, edges_of, figures
from benchmarks.sensors.frames import real_frames
from benchmarks.sensors.report import COLUMNS, overview, table
from molmo_point.errors import InputError
from tests.real_data import RGBD, needs_real


def box(left: int = 0, right: int = 0, top: int = 0, grown: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Depth and color of a box at columns 120 to 199 and rows 80 to 159, with holes on its sides."""
    depth, color = np.full((240, 320), 1.0, np.float32), np.full((240, 320, 3), 60, np.uint8)
    color[80:160, 120:200] = 200
    depth[80:160, 120 - grown : 200 + grown] = 0.6
    depth[80:160, 120 - grown - left : 120 - grown] = np.nan
    depth[80:160, 200 + grown : 200 + grown + right] = np.nan
    depth[80 - top : 80, 120:200] = np.nan
    return depth, color


def measured(depth: np.ndarray, color: np.ndarray, again: np.ndarray | None = None) -> dict:
    found = FrameStatistics()
    found.add(depth, color, again)
    return figures(found)


def test_holes_are_counted_on_their_side() -> None:
    sides = measured(*box(left=9, right=4, top=6))["sides"]
    assert [sides[name]["hole_px"] for name in ("left", "right", "top")] == [9.0, 4.0, 6.0]
    assert [sides[name]["flank_px"] for name in ("left", "right", "top")] == [0.0, 0.0, 0.0]
    assert all(side["without_hole"] == 0.0 for side in sides.values())
    assert measured(*box())["sides"]["left"]["without_hole"] == 1.0


def test_growth_against_color_has_its_sign() -> None:
    grown, eaten = (measured(*box(grown=width))["sides"] for width in (5, -4))
    for name in ("left", "right"):
        assert grown[name]["growth_px"] == pytest.approx(5, abs=1.5)
        assert eaten[name]["growth_px"] == pytest.approx(-4, abs=1.5)


def test_a_slope_is_no_hole_and_an_inclined_plane_is_no_edge() -> None:
    line = np.full(200, 1.0)
    line[100:] = 0.8
    line[95:103] = np.linspace(0.99, 0.81, 8)
    ((near_after, (_, missing, between)),) = edges_of(line)
    assert near_after and missing == 0 and between >= 6
    assert not list(edges_of(np.linspace(0.5, 1.1, 200)))
    assert not list(edges_of(1.0 + 0.01 * np.sin(np.arange(200) / 8)))


def test_residuals_and_their_correlation_are_those_of_the_noise() -> None:
    rng = np.random.default_rng(1)
    fine = rng.standard_normal((240, 320))
    broad = rng.standard_normal((240, 320))
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3.0) ** 2)
    for axis in (0, 1):
        broad = np.apply_along_axis(np.convolve, axis, broad, kernel / np.sqrt(np.sum(kernel**2)), "same")
    color = np.zeros((240, 320, 3), np.uint8)
    for noise, at_four in ((fine, 0.0), (broad, np.exp(-16 / 36))):
        depth = (1.0 / (1.25 + 0.001 * np.arange(320)[None, :] + 0.08 / 21.25 * noise)).astype(np.float32)
        found = measured(depth, color)
        assert found["residual_px"] == pytest.approx(0.08, rel=0.12)
        assert found["correlation"]["4"] == pytest.approx(at_four, abs=0.12)


def test_missing_and_flickering_pixels_are_shares() -> None:
    depth, color = box(left=8)
    again = depth.copy()
    again[:24] = np.nan
    found = measured(depth, color, again)
    assert found["missing"] == pytest.approx(80 * 8 / (240 * 320)) and found["flicker"] == pytest.approx(0.1)


def test_the_table_has_a_cell_for_every_column() -> None:
    frame = measured(*box(left=9, right=4, top=6))
    spread = overview([measured(*box(left=width, right=4, top=6)) for width in (5, 7, 9)])
    left = spread["hole left, px"]
    assert left is not None and left[1] == 7.0 and spread["flicker, %"] is None
    lines = table({"real": {"box": frame}, "simulated": {"unkind": spread}}).splitlines()
    assert len(lines) == 4 and all(line.count("|") == len(COLUMNS) + 2 for line in lines)
    json.dumps(spread)


def test_a_folder_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frames"):
        list(real_frames(tmp_path))


@pytest.mark.slow
@needs_real
def test_real_frames_have_holes_on_the_right_and_broad_errors() -> None:
    found = {name: figures(each) for name, each in real_frames(RGBD)}
    assert all(found[name]["sides"]["right"]["hole_px"] > 4 for name in ("bin", "hammer", "glass-bottles"))
    assert all(found[name]["correlation"]["4"] > 0.6 for name in ("hammer", "office", "glass-bottles-opaque"))
