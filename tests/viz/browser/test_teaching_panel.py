"""The panel for teaching: a browser may press its buttons, and no choice that the page did not offer is taken."""

import time

import numpy as np
import pytest

pytest.importorskip("viser", reason="viser is not installed: pip install 'molmo-point[view]'")

from molmo_point.viz.browser.page import Page, PageActions
from molmo_point.viz.browser.teaching_panel import TeachingActions
from molmo_point.viz.taught_pictures import CaptionedTile, draw_numbers, draw_tiles
from tests.viz.browser.browser_protocol import Tab

PICTURE = np.full((24, 32, 3), 90, np.uint8)


@pytest.fixture
def shown():
    """A page, its port, and what its panel asked for."""
    asked = []
    actions = TeachingActions(lambda name, number: asked.append((name, number)), lambda name: asked.append(name))
    page = Page(PageActions(print, print, print, teaching=actions), port=0)
    yield page, int(page.url.rpartition(":")[2]), asked
    page.close()


def test_a_name_is_taught_and_an_object_is_chosen_by_its_number(shown):
    page, port, asked = shown
    tab = Tab(port)
    tab.update("name", value="my <mug>")
    tab.update("teach", value=True)
    assert tab.until(lambda: asked == [("my <mug>", None)])
    page.teaching.show_choices(2)
    tab.update("object", value="2")
    tab.update("teach", value=True)
    assert tab.until(lambda: asked[1:] == [("my <mug>", 2)])
    page.teaching.say("view 1 <b>")
    assert page.teaching._words.content == "view 1 \\<b\\>"


def test_only_a_taught_object_can_be_forgotten(shown):
    page, port, asked = shown
    tab = Tab(port)
    tab.update("forget", value=True)
    # The page handles a click in a thread of its own; this one came before there was an object.
    time.sleep(0.5)
    page.teaching.show_taught(["my mug", "my duck"], draw_tiles([CaptionedTile(PICTURE, ("my mug", "5 views"))]))
    for value in ("my frog", "../objects.taught", "my mug"):
        tab.update("taught", value=value)
        tab.update("forget", value=True)
    assert tab.until(lambda: "my mug" in asked) and asked == ["my mug"]
    page.teaching.show_views(draw_tiles([CaptionedTile(PICTURE, ("refused", "blurred"), True)]))
    page.teaching.show_views(None)
    page.teaching.show_taught([], None)
    assert page.teaching._pictures == {}


def test_a_page_without_teaching_has_no_panel():
    page = Page(PageActions(print, print, print), port=0)
    assert page.teaching is None
    page.close()


def test_numbers_are_drawn_at_their_objects():
    drawn = draw_numbers(np.zeros((200, 300, 3), np.uint8), [(50.0, 60.0), (250.0, 150.0)])
    assert drawn[60, 45:56].max() > 200 and drawn[150, 245:256].max() > 200 and drawn[10, 150].max() == 0
