"""The watch over a camera's depth: evidence in the background, at most one frame a period, and a doubt when it is clear."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.depth import alignment_monitor
from molmo_point.depth.alignment_monitor import AlignmentMonitor
from molmo_point.frame import RgbdFrame

from .test_alignment_check import drawn, shifted


class Clock:
    """A time that tests set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def examined(monitor: AlignmentMonitor, frame: RgbdFrame) -> int:
    """Offer a frame; return the number of frames compared so far."""
    monitor.offer(frame)
    monitor.wait()
    return 0 if monitor.check is None else monitor.check.frames


@pytest.fixture(scope="module")
def flat() -> RgbdFrame:
    """A frame that is compared quickly."""
    frame = drawn(shifted(0.0))
    return replace(frame, depth_m=np.full_like(frame.depth_m, 0.8))


def test_one_frame_a_period_is_compared_and_later_fewer(flat: RgbdFrame) -> None:
    clock = Clock()
    monitor = AlignmentMonitor(5.0, clock_s=clock)
    assert monitor.check is None and monitor.marked(flat) is flat
    assert [examined(monitor, flat), examined(monitor, flat)] == [1, 1]
    for count in range(2, 9):
        clock.now_s += 5.0
        assert examined(monitor, flat) == count
    clock.now_s += 5.0
    assert examined(monitor, flat) == 8
    clock.now_s += 25.0
    assert examined(monitor, flat) == 9


def test_a_delay_holds_the_first_comparison_back(flat: RgbdFrame) -> None:
    clock = Clock()
    monitor = AlignmentMonitor(5.0, 3.0, clock)
    assert examined(monitor, flat) == 0
    clock.now_s += 3.0
    assert examined(monitor, flat) == 1
    assert examined(AlignmentMonitor(0.0), flat) == 0


def test_unusable_frames_are_left_out(flat: RgbdFrame) -> None:
    monitor = AlignmentMonitor()
    for unusable in (
        replace(flat, depth_m=None),
        replace(flat, intrinsics=None),
        replace(flat, depth_stamp_ns=flat.stamp_ns + 10**9),
    ):
        assert examined(monitor, unusable) == 0
    assert examined(monitor, flat) == 1


def test_clear_evidence_marks_the_frames() -> None:
    frame = drawn(shifted(16.0))
    monitor = AlignmentMonitor()
    assert examined(monitor, frame) == 1
    marked = monitor.marked(frame)
    assert marked.depth_doubt is not None and "px" in marked.depth_doubt
    assert monitor.marked(replace(frame, depth_m=None)).depth_doubt is None


def test_an_offer_does_not_wait(flat: RgbdFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    began, go_on = threading.Event(), threading.Event()

    class Slow(alignment_monitor.AlignmentEvidence):
        def add(self, frame: RgbdFrame) -> None:
            began.set()
            go_on.wait(10.0)
            super().add(frame)

    monkeypatch.setattr(alignment_monitor, "AlignmentEvidence", Slow)
    clock = Clock()
    monitor = AlignmentMonitor(5.0, clock_s=clock)
    monitor.offer(flat)
    assert began.wait(10.0) and monitor.check is None
    clock.now_s += 60.0
    monitor.offer(flat)
    go_on.set()
    monitor.wait()
    assert monitor.check is not None and monitor.check.frames == 1
