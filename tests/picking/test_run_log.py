"""A pointer whose answers are told to somebody, with what was looked at."""

import pytest

from molmo_point.frame import RgbdFrame
from molmo_point.picking.run_log import WatchedPointer
from molmo_point.pointer import Pointer

from ..scripted_backend import FRAME, MUG, Scripted


@pytest.mark.parametrize(("method", "words"), [("point", "mug"), ("count", "mug")])
def test_answers_about_a_bare_image_are_told_with_a_frame(method, words):
    told = []
    answer = getattr(WatchedPointer(Pointer(Scripted(MUG)), lambda *each: told.append(each)), method)(FRAME.color, words)
    ((frame, heard),) = told
    assert isinstance(frame, RgbdFrame)
    assert frame.color is FRAME.color
    assert heard is answer
