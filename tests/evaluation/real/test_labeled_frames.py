"""Folders of labeled frames: read with all their fields; every missing or wrong file and field is named."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molmo_point.errors import InputError
from molmo_point.evaluation.real.labeled_frames import SurfaceKind, labeled_folders, read_labeled_frame, read_labels
from tests.evaluation.real.labeled_box import BOX, POINTS, depth_of_box, write_labeled_box


def test_a_frame_is_read_with_all_its_labels(tmp_path: Path) -> None:
    labeled = read_labeled_frame(write_labeled_box(tmp_path / "one"))
    assert labeled.name == "one" and [point.name for point in labeled.points] == [row["name"] for row in POINTS]
    box, table, _, glass, unknown = labeled.points
    assert (box.z_m, box.graspable, box.width_m, box.box) == ((0.5, 0.5), True, 0.1, tuple(BOX))
    assert table.graspable is False and math.isnan(table.width_m) and table.box is None and table.kind is None
    assert glass.kind is SurfaceKind.GLASS and unknown.z_m is None
    assert labeled.frame.depth_m is not None
    np.testing.assert_allclose(labeled.frame.depth_m, depth_of_box(), atol=6e-5)


def test_a_folder_is_one_frame_or_holds_frames_in_the_order_of_their_names(tmp_path: Path) -> None:
    frames = [write_labeled_box(tmp_path / "set" / name) for name in ("b", "a")]
    (tmp_path / "set" / "notes").mkdir()
    assert labeled_folders(tmp_path / "set") == sorted(frames)
    assert labeled_folders(frames[0]) == [frames[0]]


@pytest.mark.parametrize(
    ("name", "told"),
    [("color.png", "color.jpg or color.png"), ("depth.png", "depth.png or depth.npy"), ("intrinsics.json", "intrinsics.json")],
)
def test_a_missing_file_is_named_with_what_the_folder_holds(tmp_path: Path, name: str, told: str) -> None:
    folder = write_labeled_box(tmp_path / "one")
    (folder / name).unlink()
    with pytest.raises(InputError, match=told) as refused:
        read_labeled_frame(folder)
    assert str(folder) in refused.value.given and "points.json" in refused.value.given


def test_a_folder_without_frames_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match=r"frames with a points\.json") as refused:
        labeled_folders(tmp_path)
    assert "pictures" in refused.value.given
    with pytest.raises(InputError, match="readable"):
        labeled_folders(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"u": 320}, "inside the image"),
        ({"v": "12"}, "v of a point must be a row"),
        ({"z_from_m": 0.7}, "z_from_m must be at most z_to_m"),
        ({"z_to_m": None}, "z_from_m must be at most z_to_m"),
        ({"z_to_m": -1}, "z_to_m of a point must be meters"),
        ({"kind": "mirror"}, "one of plain, edge, glass"),
        ({"graspable": "yes"}, "true or false"),
        ({"box": [10, 10, 5, 20]}, "u0, v0, u1, v1"),
        ({"name": ""}, "name of a point"),
        ({"name": "table"}, "one point each"),
    ],
)
def test_a_wrong_field_is_named_with_its_point(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    folder = write_labeled_box(tmp_path / "one", ({**POINTS[0], **change}, *POINTS[1:]))
    with pytest.raises(InputError, match=told) as refused:
        read_labeled_frame(folder)
    assert "points.json" in refused.value.given


def test_a_point_without_a_needed_field_is_refused(tmp_path: Path) -> None:
    for name in ("name", "u", "v", "z_from_m", "z_to_m"):
        row = {key: value for key, value in POINTS[0].items() if key != name}
        with pytest.raises(InputError, match=f"must have {name}"):
            read_labeled_frame(write_labeled_box(tmp_path / name, (row,)))


def test_a_png_needs_its_unit_and_unknown_fields_are_told(tmp_path: Path) -> None:
    folder = write_labeled_box(tmp_path / "one", ({**POINTS[0], "colour": "red"},))
    assert read_labeled_frame(folder).ignored == ("colour",)
    values = json.loads((folder / "points.json").read_text())
    del values["depth_scale_m"]
    (folder / "points.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="depth_scale_m"):
        read_labeled_frame(folder)


def test_further_labels_replace_those_of_the_folder_and_must_meet_a_point(tmp_path: Path) -> None:
    folder, labels = write_labeled_box(tmp_path / "one"), tmp_path / "labels.json"
    labels.write_text(json.dumps({"one": {"box": {"graspable": False, "object": "carton"}}}))
    box = read_labeled_frame(folder, read_labels(labels)["one"]).points[0]
    assert box.graspable is False and box.object == "carton" and box.width_m == 0.1
    with pytest.raises(InputError, match="one point each"):
        read_labeled_frame(folder, {"bottle": {"graspable": True}})
    labels.write_text(json.dumps({"one": ["box"]}))
    with pytest.raises(InputError, match="by frame and point"):
        read_labels(labels)
