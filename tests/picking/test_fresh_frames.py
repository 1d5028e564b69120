"""Frames for decisions: younger than the last motion, new, and with depth of the table."""

import dataclasses
import time

import numpy as np
import pytest

from molmo_point.depth.alignment_check import AlignmentCheck, Misfit
from molmo_point.depth.alignment_monitor import AlignmentMonitor
from molmo_point.errors import CameraError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking import fresh_frames
from molmo_point.picking.event_log import PickStopped
from molmo_point.picking.fresh_frames import FreshFrames
from molmo_point.picking.guarded_arm import GuardedArm
from molmo_point.picking.states import PickFailure

from .scripted_arm import ScriptedArm, ScriptedCamera, path


class OnHand(ScriptedArm):
    """Its camera is on the hand."""

    def tool_T_camera(self, frame):
        return Transform("tool", frame, np.eye(3), np.zeros(3))

    def base_T_camera(self, frame, stamp_ns=None):
        return self.base_T_tool() @ self.tool_T_camera(frame)


def eyes(arm=None, read=None, cancelled=lambda: False):
    arm = arm or ScriptedArm()
    guard, camera = GuardedArm(arm), ScriptedCamera(arm)
    guard.begin(cancelled)
    if read is not None:
        camera.read = lambda timeout_s: read(camera, timeout_s)
    return guard, camera, FreshFrames(guard, camera, "the camera")


def failure_of(work):
    with pytest.raises(PickStopped) as raised:
        work()
    return raised.value.failure


def test_a_frame_of_now_is_taken_at_once():
    guard, camera, fresh = eyes()
    for angle in (0.5, 0.0):
        guard.follow(path(0.5 - angle, angle))
        before_ns = guard.now_ns()
        assert before_ns < fresh.read(whole_table=True).stamp_ns <= before_ns + 34_000_000
    assert camera.reads == 2


def test_a_late_camera_is_waited_for():
    guard, _, fresh = eyes(read=lambda camera, _: camera.frame(camera.arm.now_ns() - 500_000_000))
    guard.follow(path(0.0, 0.5))
    assert fresh.read().stamp_ns >= guard.still_since_ns


@pytest.mark.parametrize(
    ("late_s", "depth_late_s"), [(2.5, 0.0), (0.0, 2.5), (-3.0, 0.0)], ids=["too late", "depth too late", "of the future"]
)
def test_a_frame_of_another_time_is_stale(late_s, depth_late_s):
    def read(camera, _):
        now_ns = camera.arm.now_ns() - round(late_s * 1e9)
        return camera.frame(max(now_ns, 0), depth_stamp_ns=max(now_ns - round(depth_late_s * 1e9), 0))

    guard, _, fresh = eyes(read=read)
    guard.follow(path(0.0, 0.5))
    assert failure_of(fresh.read) is PickFailure.STALE_FRAME


def frozen(camera, _, kept=[]):  # noqa: B006
    kept[:] = kept if kept and kept[0] is camera else [camera, camera.frame(camera.arm.now_ns())]
    return kept[1]


def restamped(camera, timeout_s):
    return dataclasses.replace(frozen(camera, timeout_s), stamp_ns=camera.arm.now_ns())


def restamped_without_noise(camera, timeout_s):
    return dataclasses.replace(restamped(camera, timeout_s), depth_noise=None)


def only_depth_is_frozen(camera, timeout_s):
    return camera.frame(camera.arm.now_ns(), depth_m=frozen(camera, timeout_s).depth_m, depth_noise=None)


def only_color_is_frozen(camera, timeout_s):
    return camera.frame(camera.arm.now_ns(), color=frozen(camera, timeout_s).color, depth_noise=None)


@pytest.mark.parametrize("read", [frozen, restamped, restamped_without_noise, only_depth_is_frozen, only_color_is_frozen])
@pytest.mark.parametrize("moves", [True, False])
def test_a_camera_that_repeats_itself_is_stale(read, moves):
    guard, _, fresh = eyes(OnHand(), read)
    fresh.read()
    if moves:
        guard.follow(path(0.0, 0.5))
    elif read not in (frozen, restamped):
        pytest.skip("without noise and without motion the same picture may come twice")
    began_ns = guard.now_ns()
    assert failure_of(fresh.read) is PickFailure.STALE_FRAME
    assert guard.now_ns() - began_ns < 2.2e9


def test_a_camera_that_thaws_is_taken():
    guard, camera, fresh = eyes()
    first = fresh.read()
    guard.follow(path(0.0, 0.5))
    live, camera.read = camera.read, lambda timeout_s: first if guard.now_ns() - guard.still_since_ns < 1e9 else live()
    assert fresh.read().stamp_ns > guard.still_since_ns


def test_a_fixed_camera_without_noise_may_see_the_same_twice():
    guard, _, fresh = eyes(read=restamped_without_noise)
    fresh.read()
    assert fresh.read() is not None
    guard.follow(path(0.0, 0.5))
    fresh.begin()
    assert fresh.read() is not None


@pytest.mark.parametrize("error", [CameraError("gone"), RuntimeError("usb"), AssertionError(), StopIteration()])
def test_a_camera_that_raises_has_failed_at_once(error):
    def read(camera, _):
        camera.reads += 1
        raise error

    _, camera, fresh = eyes(read=read)
    assert failure_of(fresh.read) is PickFailure.CAMERA_FAILED
    assert camera.reads == 1


def test_a_camera_that_gives_nothing_has_failed():
    assert failure_of(eyes(read=lambda *_: None)[2].read) is PickFailure.CAMERA_FAILED


@pytest.mark.parametrize("stops", [False, True])
def test_a_stop_is_noticed_while_a_camera_keeps_waiting(monkeypatch, stops):
    monkeypatch.setattr(fresh_frames, "_READ_S", 0.02)
    over = []

    def read(camera, timeout_s):
        camera.reads += 1
        time.sleep(timeout_s)
        over.extend([1] * stops)
        raise CameraError("No frame came in time")

    _, camera, fresh = eyes(read=read, cancelled=lambda: bool(over))
    assert failure_of(fresh.read) is (PickFailure.CANCELLED if stops else PickFailure.CAMERA_FAILED)
    assert camera.reads == (1 if stops else 5)


def with_depth_on(share):
    def read(camera, _):
        frame = camera.frame(camera.arm.now_ns())
        depth = frame.depth_m.copy()
        depth[:, round(share * depth.shape[1]) :] = np.nan
        return dataclasses.replace(frame, depth_m=depth)

    return read


@pytest.mark.parametrize("changes", [{"depth_m": None}, {"intrinsics": None}])
def test_a_fixed_camera_without_depth_or_intrinsics_means_no_plan(changes):
    _, _, fresh = eyes(read=lambda camera, _: camera.frame(camera.arm.now_ns(), **changes))
    assert failure_of(lambda: fresh.read(whole_table=True)) is PickFailure.NO_DEPTH


@pytest.mark.parametrize(("share", "good"), [(0.0, False), (0.25, False), (0.75, True)])
def test_a_fixed_camera_must_measure_most_of_the_table(share, good):
    fresh = eyes(read=with_depth_on(share))[2]
    if good:
        assert fresh.read(whole_table=True).depth_m is not None
    else:
        assert failure_of(lambda: fresh.read(whole_table=True)) is PickFailure.NO_DEPTH


@pytest.mark.parametrize("depth_m", [0.05, 0.7, 1.3, 600.0])
def test_depth_that_is_not_of_the_table_means_no_plan(depth_m):
    everywhere = np.full((24, 32), depth_m, np.float32)
    fresh = eyes(read=lambda camera, _: camera.frame(camera.arm.now_ns(), depth_m=everywhere))[2]
    assert failure_of(lambda: fresh.read(whole_table=True)) is PickFailure.NO_DEPTH


def test_a_fixed_camera_that_looks_elsewhere_means_no_plan():
    arm = ScriptedArm()
    arm.pose = Transform("base", "fixed_optical_frame", np.eye(3), np.array([0.0, 0.0, 0.6]))
    assert failure_of(lambda: eyes(arm)[2].read(whole_table=True)) is PickFailure.NO_DEPTH


@pytest.mark.parametrize("significant", [True, False])
def test_depth_that_does_not_fit_the_color_images_is_doubted(monkeypatch, significant):
    offered = []

    class Decided(AlignmentMonitor):
        """It has seen enough frames."""

        check = AlignmentCheck((12.0, 0.0), (1.0, 1.0), (5.0, 0.0), (Misfit.SHIFT,) * 2, (40, 40), (significant, False), 6)

        def offer(self, frame):
            offered.append(frame)

        def marked(self, frame):
            self._check = self.check
            return super().marked(frame)

    monkeypatch.setattr(fresh_frames, "AlignmentMonitor", Decided)
    _, _, fresh = eyes()
    frames = [fresh.read(), fresh.read()]
    assert [frame.depth_doubt is not None for frame in frames] == [significant] * 2
    assert [frame.stamp_ns for frame in offered] == [frame.stamp_ns for frame in frames]
