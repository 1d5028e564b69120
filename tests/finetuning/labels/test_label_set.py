"""Rows become labels by image, whatever file they come from; one that is bad is named, or left out and counted."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from molmo_point.errors import DependencyError, InputError
from molmo_point.finetuning.labels.formats import Answered, Caption, Explanation, PointLabels
from molmo_point.finetuning.labels.label_set import LabelSet
from tests.finetuning.labels.conftest import URL, picture

Write = Callable[..., Path]
MUG = {"image": "photo.png", "label": "Red Mug", "points": [{"x": 25.0, "y": 60.0}], "count": 1}
EXPLANATION = {
    "image": "photo.png", "question": "How do I open it?", "parsed_response": "Turn the <|POINT|>, then lift the <|POINT|>.",
    "points": [[{"x": 10.0, "y": 20.0}], [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]],
    "inline_text": ["knob", "lids"], "alt_text": ["the knob to turn", "both lids"],
}  # fmt: skip


def test_pixmo_rows_of_every_kind(write: Write, folder: Path) -> None:
    rows = [
        MUG,
        {"image_url": URL, "label": "dogs", "count": 2, "points": {"x": [100, 20.0], "y": [50.0, 10]}},
        {"image_url": URL, "label": "cats", "count": 3},
        {"image_sha256": "c0ffee", "caption": "A mug.", "transcripts": ["so there is a mug ", " "]},
        EXPLANATION,
        {"image": "photo.png", "question": "What is it?", "answer": "A mug.", "style": "vqa2"},
        {"image": "photo.png", "label": "spoons", "points": []},
    ]
    labels = LabelSet(write(*rows), validation_share=0)
    assert (labels.rows, len(labels.train), labels.bad.count) == (7, 3, 0)
    photo, by_url, by_hash = labels.train
    mug, explanation, answered, spoons = photo.annotations
    assert isinstance(mug, PointLabels) and (mug.label, mug.count) == ("red mug", 1)
    np.testing.assert_array_equal(mug.percent, [[25.0, 60.0]])
    assert isinstance(explanation, Explanation) and [tag[:2] for tag in explanation.tags][1] == ("lids", "both lids")
    assert explanation.tags[1][2].shape == (2, 2)
    assert answered == Answered("What is it?", "A mug.", "vqa2")
    assert isinstance(spoons, PointLabels) and spoons.count == 0 and len(spoons.percent) == 0  # type: ignore[arg-type]
    dogs, cats = by_url.annotations
    # pixmo-count gives pixels: the image is 200 × 100
    np.testing.assert_allclose(dogs.percent, [[50, 50], [10, 10]])  # type: ignore[union-attr]
    assert isinstance(cats, PointLabels) and cats.percent is None and cats.count == 3
    assert by_hash.annotations == [Caption("A mug.", ("so there is a mug",))]
    assert by_hash.pixels().shape == (30, 40, 3)


def test_boxes_give_points_in_their_middles(write: Write) -> None:
    row = {"image": "photo.png", "label": "mug", "boxes": [[10, 20, 30, 60]]}
    pixels = {"image": "photo.png", "label": "cup", "boxes": [[4, 6, 12, 18]], "points": [[5, 7]]}
    (mug,) = LabelSet(write(row), validation_share=0).train[0].annotations
    assert isinstance(mug, PointLabels) and mug.boxes is not None and mug.percent is not None
    assert mug.boxes.tolist() == [[10, 20, 30, 60]] and mug.percent.tolist() == [[20, 40]] and mug.count == 1
    # The image has 40 × 30 pixels; a point that is given counts more than the middle.
    (cup,) = LabelSet(write(pixels), unit="pixels", validation_share=0).train[0].annotations
    assert isinstance(cup, PointLabels) and cup.boxes is not None and cup.percent is not None
    np.testing.assert_allclose(cup.boxes, [[10, 20, 30, 60]])
    np.testing.assert_allclose(cup.percent, [[12.5, 70 / 3]])


def test_parquet_says_what_json_lines_say(write: Write, folder: Path) -> None:
    pyarrow, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    rows = [{**MUG, "collection_method": "pointing"}, {**MUG, "label": "spoon", "points": [], "count": 0}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "rows.parquet")
    one, other = LabelSet(write(*rows), validation_share=0), LabelSet(folder / "rows.parquet", validation_share=0)
    assert other.train[0].place == f"{folder / 'rows.parquet'}:1" and other.train[0].path == one.train[0].path
    for mine, theirs in zip(one.train[0].annotations, other.train[0].annotations, strict=True):
        assert isinstance(mine, PointLabels) and isinstance(theirs, PointLabels) and mine.label == theirs.label
        np.testing.assert_array_equal(mine.percent, theirs.percent)
    count = [{"image": "photo.png", "label": "dogs", "count": 1, "points": {"x": [20.0], "y": [15.0]}}]
    parquet.write_table(pyarrow.Table.from_pylist(count), folder / "count.parquet")
    (dogs,) = LabelSet(folder / "count.parquet", validation_share=0).train[0].annotations
    np.testing.assert_allclose(dogs.percent, [[50, 50]])  # type: ignore[union-attr]


def test_without_pyarrow_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "rows.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DependencyError, match=r"molmo-point\[train\]"):
        LabelSet(folder)


BAD = [
    ("{", "no JSON"),
    ("[1]", "holds a list"),
    ({"image": "photo.png"}, "none of format|no format"),
    ({**MUG, "image": "none.png"}, r"no image .*none\.png"),
    ({**MUG, "image": 3}, "`image` must be"),
    ({"label": "mug", "points": []}, "names no image"),
    ({**MUG, "image": None, "image_url": "https://example.org/b.jpg"}, "images"),
    ({**MUG, "image": "rows.jsonl"}, "cannot be opened"),
    ({**MUG, "label": " "}, "`label`"),
    ({**MUG, "label": None}, "`label`"),
    ({**MUG, "count": 2}, "`count` is 2, but there are 1"),
    ({**MUG, "count": 1.5}, "`count` must be a whole number"),
    ({**MUG, "points": [{"x": 25.0}]}, "must be {x, y}"),
    ({**MUG, "points": [{"x": "a", "y": 1}]}, "must be numbers, not 'a'"),
    ({**MUG, "points": [{"x": True, "y": 1}]}, "must be numbers, not True"),
    ({**MUG, "points": [{"x": 101.5, "y": 60.0}]}, r"\(101.5, 60\) lies outside 0 to 100"),
    ({**MUG, "points": [{"x": 1, "y": 1}] * 41, "count": 41}, "41 points"),
    ({**MUG, "points": {"x": [1, 2], "y": [1]}, "count": 1}, "2 x and 1 y"),
    ({**MUG, "boxes": [[1, 2, 3]]}, "list of .left, top, right, bottom"),
    ({**MUG, "boxes": [[10, 20, 10, 60]]}, "must be larger than left and top"),
    ({**MUG, "boxes": []}, "there are 0 boxes, but 1 points"),
    ({**MUG, "points": {"x": [41], "y": [1]}, "count": 1}, "outside the image of 40 × 30"),
    ({"image": "photo.png", "label": "dogs"}, "neither `count` nor `points`"),
    ({"image": "photo.png", "caption": ""}, "`caption`"),
    ({"image": "photo.png", "caption": "x", "transcripts": "x"}, "`transcripts`"),
    ({**EXPLANATION, "points": [[]]}, "2 <|POINT|>|list of 2"),
    ({**EXPLANATION, "alt_text": None}, "`alt_text` must be a list of 2"),
    ({**EXPLANATION, "points": [[], []]}, "has no points"),
    ({"image": "photo.png", "question": "?", "answer": "!", "style": "poem"}, "'poem'"),
]


@pytest.mark.parametrize(("row", "said"), BAD)
def test_a_bad_row_is_named_or_left_out_and_counted(row: Any, said: str, write: Write) -> None:
    path = write(MUG, row)
    with pytest.raises(InputError, match=said) as caught:
        LabelSet(path)
    assert f"{path}:2" in str(caught.value) and "--skip-bad" in str(caught.value)
    labels = LabelSet(path, skip_bad=True)
    assert (labels.rows, labels.bad.count) == (1, 1) and f"{path}:2" in labels.bad.told[0]


def test_nothing_left_is_an_error(write: Write, folder: Path) -> None:
    with pytest.raises(InputError, match=r"hold good rows.*1 bad rows"):
        LabelSet(write("{"), skip_bad=True)
    with pytest.raises(InputError, match="does not exist"):
        LabelSet(folder / "none.jsonl")
    with pytest.raises(InputError, match="must hold files"):
        LabelSet(folder / "images")
    with pytest.raises(InputError, match="another kind of file"):
        LabelSet(folder / "photo.png")


def test_a_format_and_a_unit_that_are_given_win(write: Write) -> None:
    path = write({**MUG, "points": [{"x": 10, "y": 15}], "caption": "x"})
    assert isinstance(LabelSet(path, validation_share=0).train[0].annotations[0], Caption)
    (mug,) = LabelSet(path, "points", unit="pixels", validation_share=0).train[0].annotations
    np.testing.assert_allclose(mug.percent, [[25, 50]])  # type: ignore[union-attr]


def test_a_click_just_over_the_border_is_moved_to_it(write: Write) -> None:
    (mug,) = LabelSet(write({**MUG, "points": [{"x": -0.5, "y": 100.4}]}), validation_share=0).train[0].annotations
    np.testing.assert_array_equal(mug.percent, [[0, 100]])  # type: ignore[union-attr]


def test_pixels_are_those_of_the_picture_as_it_is_looked_at(folder: Path, write: Write) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (40, 30)).save(folder / "turned.jpg", exif=exif)
    labels = LabelSet(write({"image": "turned.jpg", "label": "x", "points": {"x": [15], "y": [20]}}), validation_share=0)
    (x,) = labels.train[0].annotations
    np.testing.assert_allclose(x.percent, [[50, 50]])  # type: ignore[union-attr]
    assert labels.train[0].pixels().shape == (40, 30, 3)


def test_the_same_images_are_kept_out_every_time(folder: Path, write: Write) -> None:
    for k in range(20):
        picture(folder / f"{k}.png")
    path = write(*({**MUG, "image": f"{k % 20}.png"} for k in range(40)))
    one, two = LabelSet(path, validation_share=0.2), LabelSet(path, validation_share=0.2)
    assert [len(one.train), len(one.validation)] == [16, 4]
    assert not {image.path for image in one.train} & {image.path for image in one.validation}
    assert [image.path for image in one.validation] == [image.path for image in two.validation]
    assert all(len(image.annotations) == 2 for image in (*one.train, *one.validation))
    with pytest.raises(InputError, match="leave some to train on"):
        LabelSet(path, validation_share=1)


def test_an_image_broken_behind_its_header_is_named_with_its_row(folder: Path, write: Write) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "big.png")
    whole = (folder / "big.png").read_bytes()
    (folder / "big.png").write_bytes(whole[: len(whole) // 2])
    path = write(json.dumps({**MUG, "image": "big.png"}))
    with pytest.raises(InputError, match=r"rows\.jsonl:1.*big\.png"):
        LabelSet(path, validation_share=0).train[0].pixels()
