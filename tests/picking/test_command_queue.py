"""Commands that wait for an arm: a stop passes all of them, and a late word from before it moves nothing."""

import threading

import pytest

from molmo_point.picking.command_queue import MAX_WAITING, CommandQueue
from tests.arm.still_arm import StillArm


@pytest.fixture
def queue():
    """A queue of a still arm, its lines, and the states that were shown."""
    lines, shown = [], []
    made = CommandQueue(StillArm(), lines.append, shown.append)
    return made, lines, shown


def test_commands_come_in_order_with_a_permit(queue):
    commands, _, shown = queue
    assert commands.take("pick up the red cube") and commands.take("how many screws are there?")
    first, second = commands.next(), commands.next()
    assert (first.command.text, second.command.text) == ("pick up the red cube", "how many screws are there?")
    assert not first.permit.revoked and not second.permit.revoked
    assert commands.next() is None and shown == [False, False]


@pytest.mark.parametrize("text", ["stop", "STOP!", "halt", "please stop", "stop it now", "\u200bstop\x1b", "stop " * 200])
def test_a_stop_in_words_acts_at_once_and_drops_what_waits(queue, text):
    commands, lines, shown = queue
    arm = commands._arm
    commands.take("pick up the red cube")
    running = commands.next()
    commands.take("pick up the green ball")
    assert commands.take(text)
    assert arm.stopped and running.permit.revoked and commands.next() is None
    assert shown[-1] is True and "dropped: 1" in lines[-1] and commands.dropped == 1


def test_a_new_command_moves_again_and_the_stopped_one_stays_stopped(queue):
    commands, _, shown = queue
    commands.take("pick up the red cube")
    stopped = commands.next()
    commands.stop("STOP")
    commands.take("pick up the green ball")
    assert stopped.permit.revoked and not commands.next().permit.revoked
    assert not commands._arm.stopped and shown[-1] is False


def test_counting_or_a_mistake_does_not_resume(queue):
    commands, lines, shown = queue
    commands.stop("STOP")
    assert commands.take("how many screws are there?") and not commands.take("sing a song")
    assert commands._arm.stopped and shown[-1] is True
    assert "known verb" in lines[-1]
    assert not commands.next().permit.revoked


def test_resume_brings_nothing_back(queue):
    commands, _, shown = queue
    commands.take("pick up the red cube")
    commands.stop("STOP")
    commands.resume()
    assert commands.next() is None and not commands._arm.stopped and shown[-1] is False


def test_words_from_before_a_stop_move_nothing(queue):
    commands, lines, _ = queue
    said = commands.stops
    commands.stop("STOP")
    assert not commands.take("pick up the red cube", said)
    assert commands.next() is None and commands._arm.stopped and "before the stop" in lines[-1]
    assert commands.take("pick up the red cube", commands.stops) and not commands._arm.stopped


def test_the_queue_is_bounded(queue):
    commands, _, _ = queue
    assert [commands.take("pick up the red cube") for _ in range(MAX_WAITING + 2)] == [True] * MAX_WAITING + [False] * 2


def test_stops_and_commands_of_many_threads_never_leave_a_command_with_a_stopped_arm(queue):
    commands, _, _ = queue

    def work(text):
        for _ in range(200):
            commands.take(text)

    threads = [threading.Thread(target=work, args=(text,)) for text in ("stop", "pick up the cube", "halt", "put it down")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        commands.next()
    for thread in threads:
        thread.join()
    left = commands.next()
    assert (left is None) == commands._arm.stopped or not commands._arm.stopped
    assert left is None or not left.permit.revoked
