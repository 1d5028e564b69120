"""A teaching session: views are taken or refused one by one, and the library learns at the end or stays as it was."""

from dataclasses import replace

import numpy as np
import pytest

from molmo_point.errors import CameraError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.model.taught.library import Library
from molmo_point.teaching.advice import AdviceKind
from molmo_point.teaching.correction import correct
from molmo_point.teaching.object_mask import MaskSource, ViewRefusal
from molmo_point.teaching.session import TeachingSession, look_alikes, offer_frames

from ..grasp.solids import mask_of, pixel_of
from .shown import BALL, BOX, GREEN, MeanColors, frame_of

LIBRARY = Library.empty()
TURNED = replace(BOX, yaw_rad=1.5, position_base_m=(0.02, -0.03, 0.02))


def session(name: str = "red box", library: Library = LIBRARY, **options) -> TeachingSession:
    return TeachingSession(library, name, network=MeanColors(), **options)


@pytest.fixture(scope="module")
def taught() -> Library:
    box = session(aliases=("brick",), categories=("toy",))
    assert box.advice.kind is AdviceKind.SHOW
    first = box.offer(frame_of(BOX))
    assert first.accepted and first.views == 1 and first.refusal is None and first.thumbnail is not None
    assert first.advice.kind is AdviceKind.TURN_QUARTER
    box.offer(frame_of(TURNED, seed=1))
    library = box.finish()
    ball = session("green ball", library)
    assert ball.offer(frame_of(BALL, colors=(GREEN,))).accepted
    return ball.finish()


def test_what_was_shown_is_in_the_new_library_and_not_in_the_old(taught):
    assert taught.names == ("red box", "green ball") and len(LIBRARY) == 0
    box = taught.find("brick")
    assert len(box.views) == 2 and box.categories == ("toy",)
    for alike in look_alikes(taught, "red box"):
        assert alike.thumbnail.ndim == alike.own_thumbnail.ndim == 3


def test_poor_images_are_counted_and_change_nothing():
    box = session()
    assert box.offer(frame_of()).refusal is ViewRefusal.NO_OBJECT
    several = box.offer(frame_of(BOX, BALL))
    assert several.refusal is ViewRefusal.SEVERAL_OBJECTS and len(several.places) == 2
    frame = frame_of(BOX)
    assert box.offer(frame).accepted
    same = box.offer(replace(frame, stamp_ns=2))
    assert same.refusal is ViewRefusal.SAME_VIEW and same.thumbnail is not None and not same.accepted
    assert (len(box.views), box.refused) == (1, 3)
    box.undo()
    assert box.views == ()
    with pytest.raises(InputError, match="no views"):
        box.finish()
    with pytest.raises(InputError, match="taken back"):
        box.undo()


def test_a_place_of_the_refusal_chooses_one_of_two_objects():
    box = session()
    frame = frame_of(BOX, BALL)
    assert box.offer(frame, uv=box.offer(frame).places[0]).accepted


def test_every_kind_of_hint_is_taken_and_two_at_once_are_refused():
    color, true = frame_of(BOX).color, mask_of((BOX,), 0)
    rows, columns = np.nonzero(true)
    edges = columns.min() - 6, rows.min() - 6, columns.max() + 6, rows.max() + 6
    left, top, right, bottom = edges
    u, v = pixel_of((0.0, 0.0, 0.04))
    for hint in ({}, {"mask": true}, {"uv": (u, v)}, {"box": edges}, {"polygon": [(left, top), (right, top), (right, bottom)]}):
        offered = session().offer(color, origin="a.jpg", **hint)
        assert offered.accepted, (hint, offered.message)
    with pytest.raises(InputError, match="only one"):
        session().offer(color, mask=true, uv=(u, v))


def test_the_empty_scene_is_seen_first_for_the_difference():
    box = session(empty=frame_of(depth=False), source=MaskSource.DIFFERENCE)
    offered = box.offer(frame_of(BOX, depth=False, seed=1))
    assert offered.mask is not None and offered.mask.source is MaskSource.DIFFERENCE


def test_a_name_that_exists_is_refused_before_anything_is_shown(taught):
    for name in ("red box", "The Red Box", "brick"):
        with pytest.raises(InputError, match="must not exist"):
            session(name, taught)
    with pytest.raises(InputError, match="green bal"):
        session("green bal", taught, add=True)
    more = session("green ball", taught, add=True)
    assert more.offer(frame_of(replace(BALL, position_base_m=(0.0, 0.05, 0.03)), colors=(GREEN,))).accepted
    assert len(more.finish().find("green ball").views) == 2


def test_a_camera_that_stops_in_the_middle_leaves_the_views():
    frames = iter([frame_of(BOX)])

    def read() -> RgbdFrame:
        for frame in frames:
            return frame
        raise CameraError("camera must be connected", "unplugged", "plug it in")

    box = session()
    with pytest.raises(CameraError, match="1 of 3 views"):
        list(offer_frames(box, read, views=3))
    assert len(box.views) == 1 and len(LIBRARY) == 0


def test_frames_without_a_good_view_end():
    with pytest.raises(InputError, match="0 of 2 after 3 frames"):
        list(offer_frames(session(), frame_of, views=2, tries=3))


def test_a_correction_adds_a_view_and_refuses_what_contradicts_it(taught):
    frame = frame_of(BOX, BALL, seed=3)
    places = [tuple(pixel_of((*item.position_base_m[:2], 2 * item.half_size_m[2]))) for item in (BOX, BALL)]
    corrected = correct(taught, frame, "green ball", uv=places[1], wrong=[places[0]])
    assert len(corrected.find("green ball").views) == 2 and len(taught.find("green ball").views) == 1
    with pytest.raises(InputError, match="must not be on the right object"):
        correct(taught, frame, "green ball", uv=places[1], wrong=[places[1]])
    with pytest.raises(InputError, match="one of uv and mask"):
        correct(taught, frame, "green ball")
    with pytest.raises(InputError, match="taught object"):
        correct(taught, frame, "blue box", uv=places[1])


@pytest.mark.parametrize("rotate_deg", [90, 180, 270])
def test_a_view_is_upright_and_its_mask_that_of_the_sensor(rotate_deg):
    upright, frame = session(), frame_of(BOX, depth=False)
    taken = upright.offer(frame.color, mask=mask_of((BOX,), 0))
    turned = session()
    color, mask = (np.ascontiguousarray(np.rot90(each, rotate_deg // 90)) for each in (frame.color, mask_of((BOX,), 0)))
    offered = turned.offer(RgbdFrame(color, None, None, 1, rotate_deg=rotate_deg), mask=mask)
    assert offered.accepted and offered.mask is not None and np.array_equal(offered.mask.mask, mask)
    for one, other in zip(upright.views, turned.views, strict=True):
        assert np.array_equal(one.color, other.color) and np.array_equal(one.mask, other.mask)
    assert taken.thumbnail is not None and np.array_equal(taken.thumbnail, offered.thumbnail)
