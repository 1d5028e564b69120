"""Banners keep to their corner."""

from PIL import Image

from molmo_point.viz.text import draw_banner


def test_a_banner_at_the_bottom_leaves_the_top_corner_free() -> None:
    image = Image.new("RGB", (200, 120))
    above = draw_banner(image, "mug", 12)
    below = draw_banner(image, "grasp", 12, bottom=True)
    assert above[3] < below[1] and below[3] <= 120
