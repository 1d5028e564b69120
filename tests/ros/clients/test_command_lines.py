"""Lines of standard input: a stop does not wait for its turn, and empties the queue."""

import os
import threading

import pytest

command_lines = pytest.importorskip(
    "molmo_point_ros.clients.command_lines",
    reason="run through ros2_ws/run, which puts the package on the path",
    exc_type=ImportError,
)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, os.fdopen(writing, "w", buffering=1)
    os.close(reading)


def test_lines_come_in_order_and_the_last_needs_no_end(pipe):
    lines = command_lines.CommandLines(lambda line: False, print, descriptor=pipe[0])
    pipe[1].write("one\n\n  two \nthree")
    pipe[1].close()
    assert [line for line, _ in lines] == ["one", "", "two", "three"]
    lines.close()


def test_a_stop_is_carried_out_at_once_and_drops_the_lines_before_it(pipe):
    stopped = threading.Event()
    lines = command_lines.CommandLines(lambda line: line == "stop", lambda line: stopped.set(), stopped.is_set, pipe[0])
    coming = iter(lines)
    pipe[1].write("one\n")
    assert next(coming) == ("one", 0)
    pipe[1].write("two\nthree\nstop\nfour\n")
    # Nobody has asked for the next line yet: "one" is at work.
    assert stopped.wait(5)
    pipe[1].close()
    assert list(coming) == [("four", 1)], "it was read after the stop"
    lines.close()


def test_dropping_keeps_the_end(pipe):
    lines = command_lines.CommandLines(lambda line: False, print, descriptor=pipe[0])
    pipe[1].write("one\ntwo\n")
    pipe[1].close()
    lines._thread.join(5)
    lines.drop()
    assert list(lines) == []
