"""Results: the JSON they print, and targets moved to another frame."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import FrameError
from molmo_point.geometry.transforms import Transform
from molmo_point.patch_features import PatchFeatures
from molmo_point.plain_json import plain_json
from molmo_point.results import (
    Completion,
    Count,
    DepthStatus,
    Found,
    ImagePoint,
    Pointing,
    PointMode,
    StatedPoint,
    StatedQuality,
    Target,
    Unreachable,
)

TARGET = Target(
    u=10.0, v=20.0, label="mug", confidence=0.9, position_m=np.array([0.1, 0.2, 0.6]),
    covariance_m2=np.diag([1e-6, 4e-6, 9e-6]), frame="camera", stamp_ns=7, depth_status=DepthStatus.OK,
    alternate_depth_m=math.nan, valid_ratio=0.5,
)  # fmt: skip


def test_pointing_prints_exactly_the_documented_object() -> None:
    pointing = Pointing(
        query="mug", model="m", text="t", absent=False,
        found=(
            Found(ImagePoint(3.0, 4.0, "mug"), None, Unreachable(3.0, 4.0, "mug", DepthStatus.MISSING, "why")),
            Found(ImagePoint(1.5, 2.5, "mug", 0.25, math.nan, 3), TARGET),
        ),
        timing_ms={"total": 1.5, "lift": math.nan}, stamp_ns=7, frame="camera",
        problems=("odd",), truncated=True, absent_probability=0.125, region=(1, 2, 30, 40),
        cautions=(Caution(CautionKind.UNKNOWN_WORDS, "m knows no mugs", ("mug",)),), signals={"digit": -1.5},
    )  # fmt: skip
    assert json.loads(json.dumps(pointing.to_dict(), allow_nan=False)) == {
        "query": "mug",
        "model": "m",
        "text": "t",
        "absent": False,
        "absent_probability": 0.125,
        "denial_probability": None,
        "trusted": False,
        "signals": {"digit": -1.5},
        "cautions": [
            {"kind": "UNKNOWN_WORDS", "message": "m knows no mugs", "words": ["mug"], "suggestion": ""},
        ],
        "points": [
            {"u": 3.0, "v": 4.0, "label": "mug", "confidence": None, "sigma_px": None},
            {"u": 1.5, "v": 2.5, "label": "mug", "confidence": 0.25, "sigma_px": None, "index": 3},
        ],
        "targets": [
            {
                "point": 1,
                "u": 10.0,
                "v": 20.0,
                "label": "mug",
                "confidence": TARGET.confidence,
                "position_m": [0.1, 0.2, 0.6],
                "covariance_m2": [1e-6, 0, 0, 0, 4e-6, 0, 0, 0, 9e-6],
                "frame": "camera",
                "stamp_ns": 7,
                "depth_status": "OK",
                "alternate_depth_m": None,
                "valid_ratio": 0.5,
            }
        ],
        "unreachable": [{"point": 0, "u": 3.0, "v": 4.0, "label": "mug", "reason": "MISSING", "message": "why"}],
        "problems": ["odd"],
        "truncated": True,
        "frame": "camera",
        "stamp_ns": 7,
        "region": [1, 2, 30, 40],
        "timing_ms": {"total": 1.5, "lift": None},
    }


def answer(*found: Found) -> Pointing:
    return Pointing("mug", "m", "t", not found, found, {}, 7, "camera")


def test_a_pointing_is_the_list_of_what_was_found() -> None:
    lost = Unreachable(3.0, 4.0, "mug", DepthStatus.MISSING, "a hole")
    first, second = Found(ImagePoint(3.0, 4.0, "mug", 0.9), None, lost), Found(ImagePoint(1.5, 2.5, "mug", 0.25), TARGET)
    both = answer(first, second)
    assert len(both) == 2
    assert list(both) == [first, second]
    assert [found.lifted for found in both] == [lost, TARGET]
    assert [point.u for point in both.points] == [3.0, 1.5]
    assert (both.targets, both.unreachable) == ((TARGET,), (lost,))
    assert str(both.found[0].reason) == "MISSING: a hole"
    assert answer().best is None
    assert not answer()


def test_the_best_has_a_target_and_the_highest_confidence() -> None:
    def found(confidence: float, target: Target | None) -> Found:
        return Found(ImagePoint(1.0, 2.0, "mug", confidence), target)

    sure, unsure, unknown, lost = found(0.8, TARGET), found(0.3, TARGET), found(math.nan, TARGET), found(0.99, None)
    assert answer(lost, unsure, sure, unknown).best is sure
    assert answer(unknown, lost).best is unknown
    assert answer(lost, found(0.1, None)).best is lost


def test_covariance_is_row_major() -> None:
    covariance = np.arange(9.0).reshape(3, 3)
    target = Target(**(vars(TARGET) | {"covariance_m2": covariance}))
    assert target.to_dict()["covariance_m2"] == list(range(9))


def test_count_and_completion_print() -> None:
    count = Count("screws", "m", "t", 2, None, (ImagePoint(1, 2, "screws"),), False, {"total": 1})
    assert json.loads(json.dumps(count.to_dict(), allow_nan=False))["stated_count"] is None
    assert set(count.to_dict()) == {
        "query", "model", "text", "count", "stated_count", "points", "consistent", "problems", "frame", "stamp_ns", "timing_ms",
        "trusted", "cautions", "confidence", "signals",
    }  # fmt: skip
    completion = Completion("hi", 2, "stop", {}, ("h", "i"), (0.5, math.nan))
    assert json.loads(json.dumps(completion.to_dict(), allow_nan=False))["token_probabilities"] == [0.5, None]


def test_sigma_is_the_largest_axis_of_the_ellipsoid() -> None:
    assert TARGET.sigma_m == pytest.approx(0.003)
    turn = Transform.from_quaternion("base", "camera", [0.5, 0.5, 0.5, 0.5], [1, 2, 3])
    assert TARGET.transformed(turn).sigma_m == pytest.approx(0.003)


def test_transformed() -> None:
    # Looks along base x: z forward becomes x, x right becomes -y, y down becomes -z.
    base_T_camera = Transform("base", "camera", [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], [0, 0, 1])
    moved = TARGET.transformed(base_T_camera)
    np.testing.assert_allclose(moved.position_m, [0.6, -0.1, 0.8])
    np.testing.assert_allclose(np.diag(moved.covariance_m2), [9e-6, 1e-6, 4e-6])
    assert (moved.frame, moved.stamp_ns, moved.label, moved.u) == ("base", 7, "mug", 10.0)


def test_transformed_adds_the_transforms_own_covariance() -> None:
    covariance = np.diag([0, 0, 0, 0, 0, 1e-4])
    base_T_camera = Transform("base", "camera", np.eye(3), np.zeros(3), covariance)
    moved = TARGET.transformed(base_T_camera)
    # 10 mrad about z moves the point by 10 mrad times its distance to that axis, sideways.
    assert moved.covariance_m2[0, 0] == pytest.approx(1e-6 + 1e-4 * 0.2**2)
    assert moved.covariance_m2[1, 1] == pytest.approx(4e-6 + 1e-4 * 0.1**2)


def test_transformed_needs_the_right_frame() -> None:
    with pytest.raises(FrameError, match="'camera'") as caught:
        TARGET.transformed(Transform.identity("base", "tool"))
    assert caught.value.fix


def test_image_points_tell_image_time_and_object_only_where_there_are_some() -> None:
    assert set(ImagePoint(1, 2, "a").to_dict()) == {"u", "v", "label", "confidence", "sigma_px"}
    several = ImagePoint(1, 2, "a", image_index=2).to_dict()
    assert several["image_index"] == 2
    assert "object_id" not in several
    track = json.loads(json.dumps(ImagePoint(1, 2, "a", index=4, time_s=0.0, object_id=0).to_dict(), allow_nan=False))
    assert (track["time_s"], track["object_id"]) == (0.0, 0)
    assert "image_index" not in track


def test_image_point_uv() -> None:
    np.testing.assert_array_equal(ImagePoint(1.5, 2.5, "a").uv, [1.5, 2.5])


MODE = PointMode(0.7, 1.5, 2.5, np.eye(2))
POINT = ImagePoint(1.5, 2.5, "mug", 0.25, 3.5, 4, 2, 0.5, 6, (MODE,), 0.125)
LOST = Unreachable(1.5, 2.5, "mug", DepthStatus.STALE, "old depth")
CAUTION = Caution(CautionKind.UNKNOWN_WORDS, "m knows no mugs", ("mug",), "red cube")
FEATURES = PatchFeatures(np.ones((1, 1, 2)), 1.0, (0.0, 0.0))
STATED = StatedQuality((StatedPoint(("1.0", "2.0"), 0.5, 3.0),), 0.25, (CAUTION,))
FULL = (
    CAUTION,
    MODE,
    POINT,
    LOST,
    dataclasses.replace(TARGET, alternate_depth_m=0.75),
    Completion("t", 2, "stop", {"decode": 1.0}, ("a",), (0.5,), ((0.1,),), 0.25, 3, FEATURES, STATED),
    Pointing(
        "mug", "m", "t", True, (Found(POINT, TARGET), Found(POINT, None, LOST)), {"total": 1.5}, 7, "camera", ("odd",), True,
        0.125, (1, 2, 30, 40), (CAUTION,), 0.75, {"digit": -1.5},
    ),
    Count("mugs", "m", "t", 2, 3, (POINT,), True, {"total": 1.5}, ("odd",), 7, "camera", (CAUTION,), 0.5, {"digit": -1.5}),
)  # fmt: skip
"""One of each result, with a value in every field."""


def unset(field: dataclasses.Field, value: Any) -> bool:
    """Return True if a field has its default: its absence from the JSON would not be seen."""
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return value is default or value == default or (isinstance(value, float) and math.isnan(value))


@pytest.mark.parametrize("result", FULL, ids=lambda result: type(result).__name__)
def test_json_carries_every_field(result: Any) -> None:
    printed = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        assert not (value is None or (not isinstance(value, np.ndarray) and unset(field, value))), (
            f"give {field.name} a value in FULL"
        )
        if field.name in ("found", "features"):
            continue
        assert field.name in printed, f"to_dict leaves out {field.name}"
        parts = [part.to_dict() for part in value] if isinstance(value, tuple) and hasattr(value[0], "to_dict") else value
        flat = value.reshape(-1) if isinstance(value, np.ndarray) else parts
        assert printed[field.name] == plain_json(flat)


def test_json_carries_every_part_of_what_was_found() -> None:
    pointing = next(result for result in FULL if isinstance(result, Pointing))
    assert [field.name for field in dataclasses.fields(Found)] == ["point", "target", "reason"], (
        "to_dict must carry the new field"
    )
    printed = pointing.to_dict()
    assert printed["points"] == [POINT.to_dict()] * 2
    assert printed["targets"] == [{"point": 0, **TARGET.to_dict()}]
    assert printed["unreachable"] == [{"point": 1, **LOST.to_dict()}]
    assert printed["trusted"] is False
