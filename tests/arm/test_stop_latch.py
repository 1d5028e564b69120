"""A stop is latched: permits given before it are revoked for ever, and nothing moves until somebody resumes."""

import threading

import pytest

from molmo_point.arm.stop_latch import StopLatch

from .still_arm import StillArm


def test_a_stop_lasts_until_somebody_resumes():
    latch = StopLatch()
    assert not latch.stopped
    latch.stop()
    assert latch.stopped
    assert not latch.resume().revoked
    assert not latch.stopped


def test_a_permit_of_before_the_stop_stays_revoked_after_a_later_command_has_resumed():
    latch = StopLatch()
    before = latch.resume()
    latch.stop()
    later = latch.resume()
    assert before.revoked
    assert not later.revoked


def test_watching_resumes_nothing():
    latch = StopLatch()
    latch.stop()
    watching = latch.watch()
    assert latch.stopped
    assert not watching.revoked
    latch.stop()
    assert watching.revoked


def test_a_motion_notices_a_stop_that_a_later_command_has_resumed():
    arm = StillArm()
    ended = arm.interrupted()
    assert not ended()
    thread = threading.Thread(target=lambda: (arm.stop(), arm.resume()))
    thread.start()
    thread.join()
    assert ended()
    assert not arm.interrupted()()


def test_a_stopped_arm_refuses_every_motion_and_a_caller_ends_one():
    arm = StillArm()
    arm.stop()
    assert arm.stopped
    assert arm.interrupted()()
    arm.resume()
    wanted = []
    ended = arm.interrupted(lambda: bool(wanted))
    assert not ended()
    wanted.append(True)
    assert ended()


def test_a_driver_s_own_stop_is_latched_whatever_it_calls():
    class OwnStop(StillArm):
        def stop(self):
            self.told = True
            raise ConnectionError("the robot is gone")

    class Further(OwnStop):
        pass

    for arm in (OwnStop(), Further()):
        permit = arm.resume()
        with pytest.raises(ConnectionError):
            arm.stop()
        assert arm.told and arm.stopped and permit.revoked
