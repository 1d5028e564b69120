"""The page of the live view: served on this machine only, and (slow) used by a real headless browser."""

import importlib.util
import os
import shutil
import threading
import urllib.request

import numpy as np
import pytest

pytest.importorskip("viser", reason="viser is not installed: pip install 'molmo-point[view]'")

from molmo_point.errors import InputError
from molmo_point.viz.browser.page import Page, PageActions, _escaped

TRIANGLE = np.array([[0, 0, 0], [0.3, 0, 0], [0, 0.3, 0]], np.float32), np.array([[0, 1, 2]], np.int32)
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.fixture
def page():
    """A page, what was typed on it, and whether STOP was pressed."""
    typed, stopped = [], threading.Event()
    page = Page(PageActions(typed.append, stopped.set, lambda: typed.append("(resume)")), port=0)
    yield page, typed, stopped
    page.close()


def test_it_is_served_and_listens_to_this_machine_only(page):
    with urllib.request.urlopen(page[0].url, timeout=30) as answer:
        assert answer.status == 200 and b"<html" in answer.read().lower()
    assert page[0].url.startswith("http://127.0.0.1:")


def test_things_are_added_moved_and_taken_away(page):
    shown = page[0]
    shown.body("part", *TRIANGLE, (200, 30, 30))
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    shown.move("part", turn, np.array([0.1, 0.2, 0.3]))
    handle = shown._bodies["part"]
    np.testing.assert_allclose(handle.position, (0.1, 0.2, 0.3))
    np.testing.assert_allclose(handle.wxyz, (np.sqrt(0.5), 0, 0, np.sqrt(0.5)), atol=1e-9)
    first = shown.replace("targets")
    first.mesh(*TRIANGLE, (255, 200, 0), 0.5)
    first.label("mug", np.zeros(3))
    assert len(shown._layers["targets"]) == 2
    shown.replace("targets")
    assert shown._layers["targets"] == []


def test_an_image_is_replaced_and_not_added_twice(page):
    shown = page[0]
    shown.image("fixed camera", np.zeros((24, 32, 3), np.uint8))
    shown.image("fixed camera", np.full((24, 32, 3), 200, np.uint8))
    assert list(shown._images) == ["fixed camera"]
    assert shown._images["fixed camera"].image.mean() == 200


def test_only_the_last_lines_are_shown(page):
    for number in range(40):
        page[0].say(f"line {number}")
    shown = page[0]._words.content.splitlines()
    assert shown[-1] == "- line 39" and len(shown) < 20


def test_cautions_are_shown_until_an_answer_has_none(page):
    box = page[0]._cautions
    assert not box.visible
    page[0].show_cautions(["“the <i>mug</i>”: UNKNOWN_WORDS: 'mug' is unknown", "“the mug”: POOR_IMAGE: dark"])
    assert box.visible and "“the &lt;i&gt;mug" in box.content and "POOR_IMAGE: dark" in box.content
    page[0].show_cautions([])
    assert not box.visible


def test_markup_in_what_is_said_is_shown_as_it_is():
    assert _escaped("a <b> {c} *d*") == "a \\<b\\> \\{c\\} \\*d\\*"


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.77", "a host", "", "256.1.1.1"])
def test_an_address_that_cannot_be_used_is_an_error(page, host):
    port = int(page[0].url.rsplit(":", 1)[1]) if host == "127.0.0.1" else 70_000 if host == "" else 0
    with pytest.raises(InputError, match=r"--port must|--host and --port"):
        Page(PageActions(print, print, print), host=host, port=port)


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")
@pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed (pip install playwright)")
def test_a_browser_shows_it_and_sends_what_is_typed(page):
    from playwright.sync_api import sync_playwright

    shown, typed, stopped = page
    shown.body("part", *TRIANGLE, (255, 0, 0))
    shown.image("fixed camera", np.full((24, 32, 3), 90, np.uint8))
    shown.say("looking for the <red> mug")
    shown.show_cautions(["“the <red> mug”: UNKNOWN_WORDS: 'mug' is unknown"])
    options = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=options)
        tab = browser.new_page(viewport={"width": 900, "height": 600})
        tab.goto(shown.url, timeout=120_000)
        tab.get_by_role("button", name="STOP").wait_for(timeout=120_000)
        assert "looking for the <red> mug" in tab.inner_text("body")
        assert "fixed camera" in tab.inner_text("body")
        assert "“the <red> mug”: UNKNOWN_WORDS: 'mug' is unknown" in tab.inner_text("body")
        box = tab.get_by_role("textbox").first
        box.fill("pick up the red mug")
        box.press("Tab")
        tab.wait_for_timeout(1500)
        tab.get_by_role("button", name="do it").click()
        assert not tab.get_by_role("button", name="Resume").is_visible()
        tab.get_by_role("button", name="STOP").click()
        assert stopped.wait(30)
        shown.show_stopped(True)
        resume = tab.get_by_role("button", name="Resume")
        resume.wait_for(timeout=30_000)
        assert "STOPPED" in tab.inner_text("body")
        if picture := os.environ.get("PAGE_PICTURE"):
            tab.screenshot(path=picture)
        resume.click()
        tab.wait_for_timeout(500)
        shown.show_stopped(False)
        resume.wait_for(state="hidden", timeout=30_000)
        browser.close()
    assert typed == ["pick up the red mug", "(resume)"]
