"""One goal at a time, the newest wins."""

import pytest

goal_queue = pytest.importorskip(
    "molmo_point_ros.nodes.goal_queue", reason="run through ros2_ws/run, which puts the package on the path", exc_type=ImportError
)
PREEMPTED, SHUTDOWN, BUSY = goal_queue.StopReason.PREEMPTED, goal_queue.StopReason.SHUTDOWN, goal_queue.StopReason.BUSY


class Run:
    def __init__(self):
        self.started, self.stopped = 0, None

    def start(self):
        self.started += 1

    def stop(self, reason):
        self.stopped = self.stopped or reason


def test_a_second_goal_waits_until_the_preempted_first_has_ended():
    queue, first, second = goal_queue.GoalQueue(), Run(), Run()
    queue.submit(first)
    queue.submit(second)
    assert (first.started, first.stopped, second.started) == (1, PREEMPTED, 0)
    queue.done(first)
    assert (second.started, second.stopped) == (1, None)
    queue.done(second)
    assert queue.running() is None


def test_of_many_only_the_first_and_the_last_run_and_the_others_end_at_once():
    queue, runs = goal_queue.GoalQueue(), [Run() for _ in range(100)]
    for run in runs:
        queue.submit(run)
    assert runs[-1].started == 0
    # A dropped goal is started too, so that it can say that it was preempted.
    assert all((run.started, run.stopped) == (1, PREEMPTED) for run in runs[:-1])
    for run in runs[1:-1]:
        queue.done(run)
    assert runs[-1].started == 0
    queue.done(runs[0])
    assert (runs[-1].started, runs[-1].stopped) == (1, None)


def test_stop_all_reaches_the_running_and_the_waiting_goal():
    queue, first, second = goal_queue.GoalQueue(), Run(), Run()
    queue.submit(first)
    queue.submit(second)
    queue.stop_all(SHUTDOWN)
    assert second.stopped == SHUTDOWN and first.stopped == PREEMPTED


def test_without_preemption_the_running_goal_stays_and_the_second_ends_at_once():
    queue, first, second = goal_queue.GoalQueue(preempts=False), Run(), Run()
    queue.submit(first)
    queue.submit(second)
    assert (first.stopped, second.stopped, second.started) == (None, BUSY, 1)
    queue.done(second)
    assert queue.running() is first
