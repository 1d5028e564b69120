"""A wrist camera circles an object: paths that are checked, fresh frames, stops, and an honest account of the rest."""

import dataclasses
import math

import numpy as np
import pytest

from molmo_point.arm.arm import ArmDriver
from molmo_point.errors import CameraError, InputError
from molmo_point.model.taught.library import Library
from molmo_point.picking.states import PickFailure
from molmo_point.teaching.circling import Circler
from molmo_point.teaching.circling_settings import CirclingSettings
from molmo_point.teaching.session import TeachingSession
from molmo_point.teaching.view_offer import ViewAnswer, offers_to

from ..grasp.solids import pixel_of
from .circling_rig import HOME, BoxCamera, JumpingArm, cast
from .shown import BOX as BOX_SHOWN
from .shown import MeanColors, frame_of

MUG = ((0.05, 0.02, 0.03), (0.02, 0.02, 0.03))
AWAY = ((0.7, 0.7, 0.03), (0.02, 0.02, 0.03))
BOX = ((-0.12, 0.1, 0.04), (0.03, 0.02, 0.04))


class Rig:
    """A table with boxes, and a circler of the first one; `views` holds the frames, pixels and tool poses offered."""

    def __init__(self, *boxes, fixed=True, views=5, **settings):
        self.arm, self.views = JumpingArm(), []
        self.boxes = list(boxes or (MUG, BOX))
        self.wrist = BoxCamera(self.arm, "wrist_optical", self.boxes)
        self.fixed = BoxCamera(self.arm, "fixed_optical", self.boxes) if fixed else None
        self.circler = Circler(self.arm, self.wrist, self.fixed, CirclingSettings(views=views, **settings))
        self.answer = lambda number: ViewAnswer(True)

    def offer(self, frame, pixel):
        self.views.append((frame, pixel, self.arm.base_T_camera(frame.frame)))
        return self.answer(len(self.views))

    def circle(self, at=MUG[0], **options):
        return self.circler.circle(self.offer, at, **options)


def test_it_circles_the_object_and_comes_back():
    rig = Rig(views=8)
    result = rig.circle()
    assert result.success and result.accepted == len(rig.views) == 8, result.message
    assert result.motions == 6 and len(rig.arm.sent) == 7, "two views need no motion, and one motion goes back"
    np.testing.assert_allclose(rig.arm.joints, HOME, atol=1e-6)
    for frame, pixel, pose in rig.views:
        column, row = np.rint(pixel).astype(int)
        assert cast(pose, rig.boxes, frame.intrinsics)[1][row, column] == 1, "the pixel is on the object"
    directions = np.array([pose.rotation[:, 2] for _, _, pose in rig.views[1:]])
    closest = np.sort(directions @ directions.T - 2 * np.eye(7), axis=1)[:, -1]
    assert np.degrees(np.arccos(closest)).min() > 12.0, "no two views are from one side"
    assert result.center_m is not None and np.allclose(result.center_m, MUG[0], atol=0.012)


def test_every_view_is_younger_than_the_motion_before_it():
    rig = Rig()
    rig.circle()
    ends_ns = [began_ns + path.duration_s * 1e9 for path, began_ns in rig.arm.sent]
    for number, (frame, _, _) in enumerate(rig.views[2:]):
        assert frame.stamp_ns >= ends_ns[number]


def test_pictures_are_upright():
    rig = Rig()
    rig.arm.planner.reach_m = 0.6
    rig.circle()
    for frame, _, pose in rig.views[1:]:
        down = np.array([*-pose.rotation[2, :2]])
        if np.linalg.norm(down) > 0.2:
            turn = -math.radians(frame.rotate_deg)
            upright = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]) @ down
            assert upright[1] >= abs(upright[0]) - 1e-6


def test_viewpoints_out_of_reach_are_skipped_and_told():
    rig = Rig()
    rig.arm.planner.reach_m = 0.2
    result = rig.circle()
    assert result.success and result.skipped and all("UNREACHABLE" in reason for _, reason in result.skipped)
    assert all(np.linalg.norm(path.end_rad[:2]) <= 0.2 for path, _ in rig.arm.sent)
    rig.arm.planner.reach_m = 0.0
    assert Rig.circle(rig).motions == 0


def test_a_side_that_no_view_shows_is_told():
    rig = Rig()
    whole = rig.arm.planner.plan
    rig.arm.planner.plan = lambda poses, start, **options: whole(
        [dataclasses.replace(poses[0], translation_m=[9, 9, 1])] if poses[0].translation_m[0] > 0.05 else poses, start, **options
    )
    result = rig.circle()
    assert "was not seen: turn the object" in result.message


def test_paths_keep_clear_of_everything_on_the_table():
    wall = ((0.05, 0.2, 0.15), (0.1, 0.01, 0.15))
    rig = Rig(MUG, wall)
    assert rig.circle().success
    assert any(math.dist(box.center_m[:2], wall[0][:2]) < 0.03 for box in rig.arm.planner.obstacles)
    for path, _ in rig.arm.sent:
        way = np.linspace(path.positions_rad[0, :3], path.end_rad[:3], 50)
        assert not np.all(np.abs(way - wall[0]) <= wall[1], axis=1).any()


def test_what_the_overview_did_not_see_counts_once_it_is_seen():
    rig = Rig()
    newcomer = ((0.0, -0.15, 0.1), (0.02, 0.02, 0.1))
    rig.answer = lambda number: (rig.boxes.append(newcomer) if number == 3 else None, ViewAnswer(True))[1]
    rig.circle()
    tops = [box.center_m[:2] for box in rig.arm.planner.obstacles]
    assert any(math.dist(center, newcomer[0][:2]) < 0.05 for center in tops)


@pytest.mark.parametrize(
    ("boxes", "failure", "said"),
    [
        ((MUG, BOX), PickFailure.WRONG_OBJECT, "give the position of one"),
        ((AWAY,), PickFailure.NOT_FOUND, "nothing is on the table"),
    ],
)
def test_without_a_position_the_object_must_be_the_only_one(boxes, failure, said):
    rig = Rig(*boxes)
    result = rig.circle(None)
    assert result.failure is failure and said in result.message and not rig.arm.sent
    assert Rig(MUG).circle(None).success


def test_a_pixel_of_the_overview_names_the_object():
    rig = Rig()
    pixel = (159.5 + 400 * BOX[0][0] / 0.52, 119.5 - 400 * BOX[0][1] / 0.52)
    result = rig.circle(None, at_pixel=pixel)
    assert result.success and np.allclose(result.center_m[:2], BOX[0][:2], atol=0.02)
    assert rig.circle(None, at_pixel=(159.5, 20.0)).failure is PickFailure.NOT_FOUND


def test_a_place_without_an_object_moves_nothing():
    rig = Rig()
    result = rig.circle((0.0, -0.2, 0.1))
    assert result.failure is PickFailure.NOT_FOUND and "nothing stands at" in result.message and not rig.arm.sent


def test_enough_views_end_the_motions():
    rig = Rig(views=4)
    assert rig.circle().motions == 2
    rig = Rig()
    rig.answer = lambda number: ViewAnswer(False, "BLURRED")
    result = rig.circle()
    assert result.failure is PickFailure.NOT_FOUND and "BLURRED" in result.message
    assert result.motions == 2, "nothing but refusals is no reason to go on"


def test_a_hand_that_is_elsewhere_goes_where_the_cameras_see_the_table():
    rig = Rig()
    rig.arm.joints = np.array([0.3, 0.3, 0.05, np.pi, 0.0, 0.0])
    assert rig.circle().success
    rise, home = (path.end_rad for path, _ in rig.arm.sent[:2])
    assert rise[2] > 0.2 and np.allclose(home, HOME)


def test_a_viewpoint_without_a_path_from_the_last_one_is_reached_from_the_start():
    rig = Rig()
    plan = rig.arm.planner.plan

    def only_from_home(poses, start, **options):
        is_far = not (np.allclose(start, HOME, atol=1e-6) or np.allclose(poses[-1].translation_m, HOME[:3], atol=1e-6))
        return plan([dataclasses.replace(poses[-1], translation_m=[9, 9, 9])] if is_far else poses, start, **options)

    rig.arm.planner.plan = only_from_home
    result = rig.circle()
    assert result.accepted == 5 and result.motions == 3 and not result.skipped
    assert len(rig.arm.sent) == 6, "each view from the start, and back"


def test_a_way_back_that_is_blocked_is_the_way_that_it_came():
    rig = Rig(views=4)
    plan = rig.arm.planner.plan

    def blocked(poses, start, **options):
        goes_home = np.allclose(poses[-1].translation_m, HOME[:3], atol=1e-6)
        return plan([dataclasses.replace(poses[-1], translation_m=[9, 9, 9])] if goes_home else poses, start, **options)

    rig.arm.planner.plan = blocked
    assert rig.circle().success
    np.testing.assert_allclose(rig.arm.joints, HOME, atol=1e-6)
    assert [len(rig.arm.sent), rig.circler.guarded.clock_ns()] == [4, rig.arm.time_ns]


def end(rig, failure, motions):
    """Circle once; the end is this one, and nothing moves after so many motions."""
    result = rig.circle()
    assert result.failure is failure, result.message
    assert len(rig.arm.sent) == motions and result.message
    return result


def after(rig, count, change):
    """Let the wrist camera deliver changed frames once the arm has moved so often."""
    kept = []

    def changed(frame):
        if len(rig.arm.sent) < count or not kept:
            kept[:] = [frame]
            return frame
        return change(frame, kept[0])

    rig.wrist.change = changed
    return rig


def lost(*_):
    raise CameraError("the camera must be connected", "it is gone", "plug it in")


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        (lambda frame, last: last, PickFailure.STALE_FRAME),
        (lambda frame, last: dataclasses.replace(last, stamp_ns=frame.stamp_ns), PickFailure.STALE_FRAME),
        (lost, PickFailure.CAMERA_FAILED),
        (lambda *_: None, PickFailure.CAMERA_FAILED),
    ],
)
def test_frames_that_are_not_of_now_move_nothing_further(change, failure):
    end(after(Rig(), 2, change), failure, 2)
    end(after(Rig(), 0, change), failure, 0)


@pytest.mark.parametrize("lacking", ["depth_m", "intrinsics"])
def test_without_depth_of_the_table_nothing_moves(lacking):
    rig = Rig()
    without = {"depth_m": None, "depth_stamp_ns": None, lacking: None}
    rig.fixed.change = lambda frame: dataclasses.replace(frame, **without)
    end(rig, PickFailure.NO_DEPTH, 0)
    rig.fixed.change = lambda frame: dataclasses.replace(frame, depth_m=np.full_like(frame.depth_m, np.nan))
    end(rig, PickFailure.NO_DEPTH, 0)


def test_without_a_fixed_camera_the_height_of_the_objects_must_be_given():
    assert "assumed_height_m" in end(Rig(fixed=False), PickFailure.NO_DEPTH, 0).message
    rig = Rig(fixed=False, assumed_height_m=0.12)
    assert rig.circle().success
    assert min(path.positions_rad[:, 2].min() for path, _ in rig.arm.sent) > 0.12


def test_a_stop_between_two_motions_ends_it():
    rig = Rig()
    rig.answer = lambda number: (rig.arm.stop() if number == 4 else None, ViewAnswer(True))[1]
    end(rig, PickFailure.CANCELLED, 2)
    assert rig.arm.stopped


def test_a_stop_before_a_motion_a_revoked_permit_and_a_cancel_end_it():
    rig = Rig()
    rig.arm.before_motion = lambda arm: arm.stop() if len(arm.sent) == 1 else None
    end(rig, PickFailure.CANCELLED, 1)
    rig = Rig()
    permit = rig.arm.resume()
    rig.arm.stop()
    rig.arm.resume()
    assert rig.circle(permit=permit).failure is PickFailure.CANCELLED and not rig.arm.sent
    assert rig.circle(cancelled=lambda: len(rig.views) >= 3).failure is PickFailure.CANCELLED
    assert len(rig.arm.sent) == 1


def test_an_object_that_was_taken_away_ends_it():
    rig = Rig()
    rig.answer = lambda number: (rig.boxes.pop(0) if number == 4 else None, ViewAnswer(True))[1]
    assert "not where it stood" in end(rig, PickFailure.NOT_FOUND, 3).message


def test_an_error_of_the_arm_or_of_the_library_ends_it():
    rig = Rig()
    rig.arm.before_motion = lambda arm: 1 / 0 if len(arm.sent) == 1 else None
    end(rig, PickFailure.ARM_FAILED, 1)
    assert rig.arm.stopped
    rig = Rig()
    rig.answer = lambda number: 1 / 0 if number == 3 else ViewAnswer(True)
    end(rig, PickFailure.UNEXPECTED, 1)


def test_an_object_in_the_gripper_is_not_carried_around():
    rig = Rig()
    rig.arm.holds = True
    end(rig, PickFailure.GRIPPER_NOT_EMPTY, 0)


def test_the_camera_must_be_on_the_hand_and_the_arm_must_have_a_planner():
    rig = Rig()
    rig.circler = Circler(rig.arm, rig.fixed, rig.fixed)
    assert "hand-eye" in end(rig, PickFailure.NO_TRANSFORM, 0).message
    alone = type("Driver", (ArmDriver,), {name: JumpingArm.__dict__[name] for name in vars(JumpingArm) if "__" not in name})
    with pytest.raises(InputError, match="planner"):
        Circler(alone(), rig.wrist, rig.fixed)


@pytest.mark.parametrize(
    "wrong",
    [{"views": 0}, {"speed": 0.0}, {"speed": math.nan}, {"elevations_deg": ()}, {"elevations_deg": (90.0,)}, {"around": 0},
     {"distances_m": (0.0,)}, {"distances_m": (math.nan,)}, {"assumed_height_m": -0.1}, {"lift_m": math.nan}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        CirclingSettings(**wrong)


@pytest.mark.parametrize("at", [(0.1, 0.2), (0.1, math.nan, 0.0)])
def test_a_position_has_three_finite_numbers(at):
    with pytest.raises(InputError, match="three finite numbers"):
        Rig().circle(at)
    with pytest.raises(InputError, match="at_pixel"):
        Rig().circle(MUG[0], at_pixel=(3.0, 4.0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_simulated_arm_touches_nothing_and_shows_the_object(seed):
    for package in ("tabletask", "mink", "ruckig"):
        pytest.importorskip(package)
    from molmo_point.sim.arm.simulated_arm import SimulatedArm
    from molmo_point.sim.arm.tables import random_arm_layout
    from molmo_point.sim.arm.truth import ArmTruth

    with SimulatedArm(random_arm_layout(np.random.default_rng([seed, 9]), 4)) as arm:
        truth, on_object = ArmTruth(arm), []
        solid = arm.model.geom("object_0_solid").id

        def offer(frame, pixel):
            name = next(name for name, known in arm.camera_frames.items() if known == frame.frame)
            column, row = np.rint(pixel).astype(int)
            on_object.append(arm.view(name).render_geoms()[row, column] == solid)
            return ViewAnswer(True)

        at = arm.layout.objects[0].position_base_m
        result = Circler(arm, arm.open_camera("wrist"), arm.open_camera("fixed")).circle(offer, at)
        assert result.success and result.accepted == 8, result.message
        assert not truth.touches and truth.moved_m().max() < 0.002
        assert np.mean(on_object) >= 0.8, "a neighbor may hide the object in a view or two"


def test_views_go_to_a_session_which_refuses_poor_ones():
    session = TeachingSession(Library.empty(), "red box", network=MeanColors())
    offer, frame, pixel = offers_to(session), frame_of(BOX_SHOWN), pixel_of((0.0, 0.0, 0.04))
    assert offer(frame, pixel) == ViewAnswer(True)
    again = offer(dataclasses.replace(frame, stamp_ns=2), pixel)
    assert not again.accepted and again.message and len(session.views) == 1
