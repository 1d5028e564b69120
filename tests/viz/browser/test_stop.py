"""The stop of the page: from the server's thread, for every browser, until Resume or a new command."""

import re
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("viser", reason="viser is not installed: pip install 'molmo-point[view]'")

from molmo_point.picking.command_queue import CommandQueue
from molmo_point.viz.browser.page import Page, PageActions
from tests.arm.still_arm import StillArm
from tests.viz.browser.browser_protocol import Tab


@pytest.fixture
def served():
    """A page in front of a still arm: its port, its queue, and its arm."""
    arm, pages = StillArm(), []
    commands = CommandQueue(arm, lambda line: pages[0].say(line), lambda stopped: pages[0].show_stopped(stopped))
    closed = lambda: commands.stop("the page was closed")  # noqa: E731
    pages.append(Page(PageActions(commands.take, lambda: commands.stop("STOP"), commands.resume, closed), port=0))
    yield int(pages[0].url.rpartition(":")[2]), commands, arm
    pages[0].close()


def test_a_stop_of_one_browser_holds_for_both_and_either_resumes(served):
    port, commands, arm = served
    first, second = Tab(port), Tab(port)
    first.do("pick up the red cube")
    assert first.until(lambda: len(commands._waiting) == 1)
    running = commands.next()
    first.do("pick up the green ball")
    assert first.until(lambda: len(commands._waiting) == 1)
    second.update("STOP", value=True)
    # Nobody takes commands out of the queue here: the stop does not need the thread that moves the arm.
    assert second.until(lambda: arm.stopped) and running.permit.revoked and commands.next() is None
    for tab in (first, second, Tab(port)):
        assert tab.until(tab.resume_is_shown)
    first.update("Resume", value=True)
    assert first.until(lambda: not arm.stopped)
    for tab in (first, second):
        assert tab.until(lambda tab=tab: not tab.resume_is_shown())
    assert commands.next() is None and running.permit.revoked


@pytest.mark.parametrize("text", ["stop", "HALT!", "please stop it now"])
def test_the_word_stops_too_and_a_new_command_resumes(served, text):
    port, commands, arm = served
    tab = Tab(port)
    tab.do(text)
    assert tab.until(lambda: arm.stopped) and tab.until(tab.resume_is_shown)
    tab.do("pick up the stop sign")
    assert tab.until(lambda: not arm.stopped) and tab.until(lambda: not tab.resume_is_shown())
    assert commands.next().command.steps[0].what == "stop sign"


def test_the_last_browser_that_goes_stops(served):
    port, _, arm = served
    first, second = Tab(port), Tab(port)
    time.sleep(0.2)
    first.socket.close()
    time.sleep(0.3)
    assert not arm.stopped
    second.socket.socket.close()
    assert second.until(lambda: arm.stopped)


class View:
    """`molmo-point view` in a process of its own."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "molmo_point.cli", "view", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.port = 0
        threading.Thread(target=self._read, daemon=True).start()
        assert Tab.until(lambda: self.port or self.process.poll() is not None, 120) and self.port

    def _read(self):
        for line in self.process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = self.port or int(found[1])

    def end(self, number):
        self.process.send_signal(number)
        try:
            return self.process.wait(30), self.process.stderr.read()
        finally:
            self.process.kill()


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_real_pick_is_stopped_by_the_other_browser_and_ends_with_ctrl_c():
    view = View()
    first, second = Tab(view.port), Tab(view.port)
    first.do("pick up the red ball")
    assert first.until(lambda: re.search(r"(?i)going to|approach|straight to", first.words), 60)
    first.do("pick up the green cube")
    second.do("stop")
    assert second.until(lambda: "not done:" in second.words, 4) and "lifted" not in second.words
    time.sleep(2)
    assert "green cube" not in second.words and first.resume_is_shown()
    second.do("pick up the red ball")
    assert second.until(lambda: re.search(r"(?i)going to|approach|straight to", second.words.rpartition("means")[2]), 60)
    code, errors = view.end(signal.SIGINT)
    assert code == 130 and errors.splitlines() == ["molmo-point: interrupted"]


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.parametrize("delay_s", [0.5, 3.0])
def test_sigterm_ends_a_moving_arm(delay_s):
    view = View("--command", "pick up the red ball")
    time.sleep(delay_s)
    code, errors = view.end(signal.SIGTERM)
    assert code == 143 and errors.splitlines() == ["molmo-point: interrupted"]
