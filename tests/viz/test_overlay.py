"""Pictures of answers: marks where they belong, labels that stay apart and inside."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import InputError
from molmo_point.results import Count, DepthStatus, Found, ImagePoint, Pointing, Target, Unreachable
from molmo_point.viz.overlay import draw_pointing, draw_points, save_png
from molmo_point.viz.text import AMBER, PALETTE, Label, percent, place, shortened, text_size
from tests.pairing import paired

GROUND = np.full((480, 640, 3), 90, np.uint8)


UNKNOWN = Caution(CautionKind.UNKNOWN_WORDS, "scripted knows no mugs", ("mug",))
FAR = Caution(CautionKind.UNFAMILIAR_IMAGE, "the image is unlike those of the training")


def pointing(points=(), targets=(), unreachable=(), absent=False, cautions=()) -> Pointing:
    found = paired(points, targets, unreachable)
    return Pointing("the red mug", "scripted", "", absent, found, {}, 1, "cam", cautions=tuple(cautions))


def amber(image: np.ndarray) -> np.ndarray:
    """Rows of each pixel of an amber banner."""
    return np.nonzero((np.abs(image.astype(int) - np.array(AMBER)).max(axis=-1) < 45).mean(axis=1) > 0.1)[0]


def changed(image: np.ndarray) -> np.ndarray:
    return (image.astype(int) != GROUND).any(axis=-1)


def test_the_mark_is_centered_on_the_point_and_the_input_is_untouched():
    point = ImagePoint(u=400.0, v=300.0, label="x")
    before = GROUND.copy()
    image = draw_points(GROUND, [Found(point, None)])
    assert np.array_equal(GROUND, before) and image.shape == GROUND.shape and image.dtype == np.uint8
    ring = np.abs(image.astype(int) - np.array(PALETTE[0])).max(axis=-1) < 40
    # The label's bar has the ring's color too, but lies further off.
    v, u = np.nonzero(ring)
    near = np.hypot(u - 400, v - 300) < 10
    assert abs(u[near].mean() - 400) < 0.6 and abs(v[near].mean() - 300) < 0.6
    assert (image[300, 400] > 200).all(), "the dot at the point itself is light"


def test_the_disc_shows_one_standard_deviation():
    def width(sigma_px: float) -> int:
        image = draw_points(GROUND, [Found(ImagePoint(320.0, 240.0, "x", sigma_px=sigma_px), None)])
        return int(changed(image)[240, :320].sum())

    assert width(40.0) == pytest.approx(40, abs=3)
    assert width(80.0) == pytest.approx(80, abs=3)
    assert width(math.nan) < 14


def test_a_point_at_the_border_and_a_huge_sigma_do_no_harm():
    for u, v in ((-0.5, -0.5), (639.5, 479.5), (0.0, 479.0)):
        draw_points(GROUND, [Found(ImagePoint(u, v, "corner", sigma_px=1e9), None)])


def test_absent_and_unreadable_answers_have_an_amber_banner():
    for answer in (pointing(absent=True), pointing(absent=False)):
        image = draw_pointing(GROUND, answer)
        box = image[10:40, 10:100].astype(int)
        amber = (box[..., 0] > 200) & (box[..., 2] < 120)
        assert amber.mean() > 0.4
        assert not changed(image)[60:].any()
    found = draw_pointing(GROUND, pointing((ImagePoint(300, 300, "mug"),)))
    assert (found[10:40, 10:60].astype(int).mean()) < 90, "the usual banner is dark"


def test_a_point_without_position_is_grey_and_one_with_a_position_is_not():
    point = ImagePoint(320.0, 240.0, "mug")
    lost = Unreachable(320.0, 240.0, "mug", DepthStatus.MISSING, "hole")
    reached = Target(321.0, 240.0, "mug", 0.9, np.array([0.0, 0, 0.6]), np.eye(3) * 1e-6, "cam", 1, DepthStatus.OK, math.nan, 1.0)

    def saturation(image: np.ndarray) -> int:
        return int(np.ptp(image[230:251, 310:331].astype(int), axis=-1).max())

    assert saturation(draw_pointing(GROUND, pointing((point,), unreachable=(lost,)))) < 30
    assert saturation(draw_pointing(GROUND, pointing((point,), targets=(reached,)))) > 100


def test_a_point_under_caution_is_hollow_and_keeps_its_color():
    point = ImagePoint(320.0, 240.0, "mug", sigma_px=30.0)
    lost = Unreachable(320.0, 240.0, "mug", DepthStatus.NO_INPUT, "")
    for reasons in ((), (lost,)):
        sure = draw_pointing(GROUND, pointing((point,), unreachable=reasons))
        doubtful = draw_pointing(GROUND, pointing((point,), unreachable=reasons, cautions=[FAR]))
        assert changed(sure)[238:243, 318:323].all(), "a dot"
        assert not changed(doubtful)[238:243, 318:323].any(), "no dot, and no disc"
        assert changed(doubtful)[240, 288:293].any(), "the circle of one standard deviation stays"
        ring = doubtful[225:256, 305:336].astype(int)
        assert (np.ptp(ring, axis=-1).max() > 100) == (not reasons), "the color tells about the position, not about trust"


def test_the_banner_of_an_answer_under_caution_is_amber_and_names_the_cautions():
    point = ImagePoint(500.0, 400.0, "mug", 0.3)
    heights = []
    for cautions in ([], [UNKNOWN], [UNKNOWN, FAR]):
        rows = amber(draw_pointing(GROUND, pointing((point,), cautions=cautions)))
        heights.append(len(rows))
    assert heights[0] == 0
    assert 25 < heights[1] == heights[2], "both fit on the second line"
    narrow = np.full((480, 200, 3), 90, np.uint8)
    one, both = (len(amber(draw_pointing(narrow, pointing(cautions=cautions)))) for cautions in ([UNKNOWN], [UNKNOWN, FAR]))
    assert both > one + 8, "a line more"


def test_the_banner_stays_inside_whatever_the_cautions_are():
    words = Caution(CautionKind.UNKNOWN_WORDS, "x", tuple(f"unpronounceable{n}" for n in range(40)))
    for width, height in ((80, 60), (320, 240), (2000, 1500)):
        image = np.full((height, width, 3), 90, np.uint8)
        drawn = draw_pointing(image, pointing((ImagePoint(5.0, 5.0, "mug"),), cautions=[words, FAR, UNKNOWN]))
        assert drawn.shape == image.shape
        assert not (drawn[:, -1] != image[:, -1]).any(), "the right edge is free"


def test_a_count_under_caution_is_hollow_with_an_amber_banner():
    point = ImagePoint(320.0, 240.0, "screws", 0.4)
    count = Count("screws", "m", "", 1, 2, (point,), False, {})
    doubtful = draw_pointing(GROUND, dataclasses.replace(count, cautions=(Caution(CautionKind.COUNT_DIFFERS, "2, not 1"),)))
    assert not changed(doubtful)[238:243, 318:323].any() and len(amber(doubtful)) > 20
    assert not len(amber(draw_pointing(GROUND, dataclasses.replace(count, consistent=True, confidence=0.62))))


def test_a_crowd_is_drawn_with_numbers_only():
    rng = np.random.default_rng(1)
    crowd = tuple(ImagePoint(*map(float, rng.uniform((20, 60), (620, 460))), "screws", 0.4) for _ in range(30))
    few = changed(draw_pointing(GROUND, pointing(crowd[:12]))).sum()
    assert changed(draw_pointing(GROUND, pointing(crowd))).sum() < 1.5 * few


def test_counts_are_drawn_with_their_number():
    points = tuple(ImagePoint(60.0 * i, 200.0, "screws") for i in range(1, 9))
    count = Count("screws", "m", "", 8, None, points, True, {})
    assert changed(draw_pointing(GROUND, count)).sum() > 8 * 200


@pytest.mark.parametrize("size", [(16, 12), (160, 120), (1920, 1080)])
def test_any_image_size(size: tuple[int, int]):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    points = (ImagePoint(size[0] / 2, size[1] / 2, "a rather long label for something small", 0.5, 3.0),)
    assert draw_pointing(image, pointing(points)).shape == image.shape


def test_wrong_images_are_refused():
    with pytest.raises(InputError, match="8-bit RGB"):
        draw_points(np.zeros((4, 4), np.float32), ())


def overlap(a, b) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def test_labels_keep_apart_inside_and_off_the_marks():
    rng = np.random.default_rng(0)
    anchors = [tuple(map(float, rng.uniform((100, 100), (540, 380)))) for _ in range(9)]
    labels = [Label(f"object {i}  90%\n0.612 m ± 4 mm", anchor, 10.0, PALETTE[0]) for i, anchor in enumerate(anchors)]
    marks = [(u - 8, v - 8, u + 8, v + 8) for u, v in anchors]
    boxes = place(labels, 14, (640, 480), marks)
    assert all(overlap(a, b) == 0 for a, b in itertools.combinations(boxes, 2))
    assert all(overlap(box, mark) == 0 for box in boxes for mark in marks)
    assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= 640 and box[3] <= 480 for box in boxes)


def test_a_label_is_as_large_as_its_text_needs():
    label = Label("a mug", (320.0, 240.0), 10.0, PALETTE[0])
    (box,) = place([label], 14, (640, 480), [])
    width, height = text_size("a mug", 14)
    assert box[2] - box[0] > width and box[3] - box[1] > height


def test_only_certainty_is_a_hundred_percent():
    given = (0.0, 0.001, 0.006, 0.624, 0.994, 0.996, 1.0)
    assert [percent(value) for value in given] == ["0%", "<1%", "1%", "62%", "99%", ">99%", "100%"]


def test_labels_are_one_short_line():
    assert shortened("two\nlines\x1b[31m") == "two lines [31m"
    assert len(shortened("x" * 100, 20)) == 20 and shortened("x" * 100, 20).endswith("…")


def test_png_is_written_as_rgb(tmp_path: Path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 250
    save_png(tmp_path / "o.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "o.png")), image)
    with pytest.raises(InputError, match="nowhere"):
        save_png(tmp_path / "nowhere" / "o.png", image)


def test_places_are_ellipses_where_they_lie_and_as_wide_as_they_say():
    from molmo_point.results import PointMode

    far = PointMode(0.4, 150.0, 300.0, np.diag([400.0, 25.0]))
    near = PointMode(0.59, 420.0, 150.0, np.diag([25.0, 25.0]))
    faint = PointMode(0.01, 60.0, 60.0, np.diag([25.0, 25.0]))
    image = draw_points(GROUND, [Found(ImagePoint(420.0, 150.0, "", sigma_px=5.0, modes=(near, far, faint)), None)])
    rows, columns = np.nonzero(changed(image)[250:350, 60:260])
    # 2.448 standard deviations of 20 and of 5 pixels.
    assert columns.mean() + 60 == pytest.approx(150, abs=1) and rows.mean() + 250 == pytest.approx(300, abs=1)
    assert np.ptp(columns) / 2 == pytest.approx(49, abs=3) and np.ptp(rows) / 2 == pytest.approx(12.2, abs=3)
    assert not changed(image)[40:80, 40:80].any()


def test_places_at_the_border_or_huge_do_no_harm():
    from molmo_point.results import PointMode

    for spread in (1e-9, 30.0, 1e12):
        modes = (PointMode(1.0, -20.0, 470.0, np.diag([spread, spread])),)
        draw_points(GROUND, [Found(ImagePoint(0.0, 479.0, "x", modes=modes), None)])
