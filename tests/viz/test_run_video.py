"""The pictures of a run: what is shown when, and what is drawn where."""

import dataclasses
import math

import numpy as np
import pytest

from molmo_point.backend import WholeAnswerBackend
from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.candidates import GraspCandidate
from molmo_point.grasp.gripper import Gripper
from molmo_point.picking.run_log import Look, RunLog, WatchedPointer
from molmo_point.picking.states import PickEvent, PickState
from molmo_point.pointer import Pointer
from molmo_point.results import Completion, DepthStatus, ImagePoint, Pointing, Target
from molmo_point.viz.run_video import SIZE_WH, RunVideo, sky_filled
from molmo_point.viz.text import AMBER
from tests.pairing import paired

CAMERA = Intrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)
EYE = np.array([0.6, -0.8, 0.7])
AHEAD = -EYE / np.linalg.norm(EYE)
RIGHT = np.cross(AHEAD, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(AHEAD, [0.0, 0.0, 1.0]))
DOWN = np.cross(AHEAD, RIGHT)
OBSERVER = Transform("base", "observer", np.stack([RIGHT, DOWN, AHEAD], axis=1), EYE)
GREY = np.full((480, 640, 3), 90, np.uint8)
CAMERAS = (("fixed camera", "fixed"), ("wrist camera", "wrist"))


def target(x_m=0.2, y_m=0.1):
    """On the table that the observer looks at from aside."""
    return Target(
        *(0.0, 0.0, "mug", 0.9, np.array([x_m, y_m, 0.0]), np.eye(3) * 1e-4, "base", 1),
        *(DepthStatus.OK, math.nan, 1.0),
    )


def look(frame, stamp_ns, label="mug"):
    picture = RgbdFrame(np.zeros((48, 64, 3), np.uint8), None, None, stamp_ns, frame)
    points = (ImagePoint(30.0, 20.0, label, 0.8),)
    return Look(picture, Pointing(label, "m", "", False, paired(points), {}, stamp_ns, frame))


def log_of(*events, looks=()):
    log = RunLog()
    log.begin("pick up the mug", 1_000_000_000)
    log.events += events
    log.looks += looks
    return log


def video(log):
    return RunVideo(log, CAMERA, OBSERVER, Gripper(), CAMERAS)


def colored(picture, rgb, tolerance=30):
    """Rows and columns of the pixels of a colour in the picture from aside."""
    return np.argwhere((np.abs(picture[:480, :640].astype(int) - rgb) < tolerance).all(axis=2))


def test_the_target_is_drawn_where_the_observer_sees_it():
    log = log_of(PickEvent(PickState.POINTING, 1, 2_000_000_000, "found", target()))
    picture = video(log).picture(3_000_000_000, GREY)
    assert picture.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    away = np.array([0.2, 0.1, 0.0]) - EYE
    u, v = 319.5 + 500 * (away @ RIGHT) / (away @ AHEAD), 239.5 + 500 * (away @ DOWN) / (away @ AHEAD)
    places = colored(picture, AMBER)
    near = np.linalg.norm(places - (v, u), axis=1) < 14
    assert near.sum() > 20
    assert len(colored(video(log).picture(1_500_000_000, GREY), AMBER)) == 0, "not before it was found"


@pytest.mark.parametrize("state", [PickState.LIFT, PickState.VERIFY_LIFT, PickState.PLACE])
def test_a_thing_that_was_taken_is_no_longer_aimed_at(state):
    log = log_of(PickEvent(PickState.POINTING, 1, 2, "found", target()), PickEvent(state, 1, 3, "up"))
    assert len(colored(video(log).picture(4, GREY), AMBER)) == 0


def test_the_log_knows_what_was_at_a_time():
    events = [PickEvent(PickState(n), 1, 10 * n, str(n), target() if n == 1 else None) for n in range(4)]
    log = log_of(*events, looks=[look("fixed", 5), look("wrist", 15), look("fixed", 25)])
    assert log.at(-1) is None and log.at(9).message == "0" and log.at(10).message == "1" and log.at(99).message == "3"
    assert log.target_at(9) is None and log.target_at(35).message == "1"
    assert log.look_at(4, "fixed") is None and log.look_at(24, "fixed").frame.stamp_ns == 5
    assert log.look_at(99, "fixed").frame.stamp_ns == 25 and log.look_at(99, "wrist").frame.stamp_ns == 15
    log.begin("next", 50)
    assert (log.caption, log.looks, log.events, log.success, log.began_ns) == ("next", [], [], None, 50)


def test_a_camera_shows_its_look_only_after_it_was_taken():
    drawn = video(log_of(PickEvent(PickState.POINTING, 1, 1, "looking"), looks=[look("fixed", 10), look("wrist", 20)]))
    early, between, late = (drawn.picture(stamp_ns, GREY) for stamp_ns in (5, 15, 25))
    fixed, wrist = np.s_[:240, 640:], np.s_[240:480, 640:]
    assert (early[fixed] != between[fixed]).any() and (early[wrist] == between[wrist]).all()
    assert (between[wrist] != late[wrist]).any() and (between[fixed] == late[fixed]).all()


def test_a_look_under_caution_names_the_caution_below_its_picture():
    caution = Caution(CautionKind.UNKNOWN_WORDS, "m knows no mugs", ("mug",))
    sure = look("fixed", 5)
    doubtful = Look(sure.frame, dataclasses.replace(sure.answer, cautions=(caution,)))
    strips = []
    for each in (sure, doubtful):
        picture = video(log_of(looks=[each])).picture(9, GREY)
        strips.append((np.abs(picture[196:218, 640:].astype(int) - AMBER) < 45).all(axis=2).mean())
    assert strips[0] == 0
    assert strips[1] > 0.2


def test_the_last_picture_is_held_and_says_how_it_ended():
    log = log_of(PickEvent(PickState.POINTING, 1, 1, "looking"))
    log.success = True
    film = [(10, GREY), (20, GREY)]
    pictures = list(video(log).pictures(film, hold=3))
    assert len(pictures) == 5
    assert (pictures[1][480:] != pictures[2][480:]).any() and (pictures[2] == pictures[4]).all()


def test_the_still_is_the_last_picture_with_a_plan_in_it():
    pose = Transform("base", "grasp", np.diag([1.0, -1.0, -1.0]), np.array([0.2, 0.1, 0.0]))
    grasp = GraspCandidate(pose, 0.03, 0.05, 0.8, {}, 0.08)
    plan = dataclasses.replace(PickEvent(PickState.PLANNING, 1, 20, "planned", target()), grasp=grasp)
    log = log_of(PickEvent(PickState.POINTING, 1, 10, "looking"), plan, PickEvent(PickState.LIFT, 1, 30, "lifting"))
    drawn = video(log)
    assert drawn.still is None
    pictures = list(drawn.pictures([(n, GREY) for n in (10, 20, 30)], hold=1))
    assert (drawn.still == pictures[1]).all()


def test_the_sky_is_filled_and_black_things_with_a_shine_stay():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[2, 2] = (1, 0, 0)
    filled = sky_filled(picture, (10, 20, 30), (50, 60, 70))
    assert tuple(filled[0, 0]) == (10, 20, 30) and tuple(filled[3, 0]) == (50, 60, 70) and tuple(filled[2, 2]) == (1, 0, 0)


class Model(WholeAnswerBackend):
    """Points at the middle of anything."""

    name, sigma_px = "scripted", 4.0

    def answer(self, image, prompt, limits):
        return Completion('<point x="50" y="50" alt="mug">mug</point>', 3, "stop")


def test_a_watched_pointer_answers_as_before_and_tells():
    told = []
    pointer = WatchedPointer(Pointer(Model()), lambda frame, answer: told.append((frame.stamp_ns, answer.query)))
    frame = RgbdFrame(np.zeros((48, 64, 3), np.uint8), None, None, 7, "fixed")
    assert pointer.point(frame, "mug").points[0].label == "mug"
    pointer.point_many(frame, ["cup", "bowl"])
    pointer.count(frame, "mugs")
    assert told == [(7, "mug"), (7, "cup"), (7, "bowl"), (7, "mugs")]
    with pytest.raises(InputError):
        pointer.point(frame, "")
    assert len(told) == 4
