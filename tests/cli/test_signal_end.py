"""Ends of the command: Ctrl-C at any moment, SIGTERM, and streams that break."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from molmo_point.cli import command_line, signal_end
from molmo_point.cli.doctor import doctor_command
from molmo_point.cli.signal_end import Interrupted, SignalEnd, must_unwind

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.005)


@pytest.fixture(autouse=True)
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_raises_where_the_command_is_and_the_handlers_come_back(number, code):
    before = signal.getsignal(number)
    with SignalEnd(whole_process=False) as signals:
        with pytest.raises(Interrupted):
            send(number)
        assert signals.exit_code == code
    assert signal.getsignal(number) == before


def test_a_second_ctrl_c_does_not_interrupt_what_the_first_one_ends():
    closed = []
    with SignalEnd(whole_process=False), pytest.raises(Interrupted):
        try:
            send()
        finally:
            send()
            send(signal.SIGTERM)
            closed.append(True)
    assert closed


def test_after_a_while_ctrl_c_is_heard_again(monkeypatch):
    monkeypatch.setattr(signal_end, "_DOUBLE_S", 0.01)
    with SignalEnd(whole_process=False) as signals:
        for _ in range(2):
            time.sleep(0.02)
            with pytest.raises(Interrupted):
                send()
        signals.end()
        send()


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with SignalEnd(whole_process=False) as signals:
        send()
        assert signals.exit_code is None


def test_an_import_is_not_torn_when_something_must_be_unwound(tmp_path, monkeypatch):
    module = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nWHOLE = True\n"
    (tmp_path / "interrupted_module.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    with SignalEnd(whole_process=False), must_unwind(), pytest.raises(Interrupted):
        import interrupted_module  # type: ignore[import-not-found]

        assert interrupted_module.WHOLE
        time.sleep(5)
    assert sys.modules.pop("interrupted_module").WHOLE


def test_an_interrupt_in_a_destructor_is_raised_again(capsys):
    class Dropped:
        def __del__(self):
            send()

    with SignalEnd(whole_process=False), pytest.raises(Interrupted):
        Dropped()
        time.sleep(5)
    assert "ignored" not in capsys.readouterr().err


@pytest.mark.parametrize("made_of_it", [None, ImportError("initialization failed"), SystemExit(0), KeyboardInterrupt()])
def test_an_interrupt_is_one_whatever_a_library_makes_of_it(monkeypatch, capsys, made_of_it):
    def run(options):
        try:
            send()
        except KeyboardInterrupt:
            if made_of_it is not None:
                raise made_of_it from None
        return 0

    monkeypatch.setattr(doctor_command, "run", run)
    assert command_line.main(["doctor"]) == 130
    assert capsys.readouterr().err == "molmo-point: interrupted\n"


def test_another_thread_may_run_the_command():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(command_line.main(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]


def started(*arguments):
    command = [sys.executable, "-m", "molmo_point.cli", *arguments]
    handled = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **streams, text=True, start_new_session=True, preexec_fn=handled)


def ended(process, number=signal.SIGINT, whole_group=False):
    """Send a signal, and return the exit code and the lines on stderr that are no progress."""
    try:
        os.killpg(process.pid, number) if whole_group else process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    except ProcessLookupError:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, [
        line for line in errors.splitlines() if line.strip() and "|" not in line and not line.startswith("seed ")
    ]


def interrupted_when_loaded(library, *arguments):
    process, until = started(*arguments), time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            if library in Path(f"/proc/{process.pid}/maps").read_text():
                break
        except OSError:
            break
    return ended(process)


POINT = ("point", "the red cube", "--camera", "simulated:28")
LIBRARIES = ["numpy/_core", "PIL/_imaging", "mujoco", "libtorch_cpu", "site-packages/tokenizers"]
needs_proc = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc")


@needs_proc
@pytest.mark.parametrize("library", ["/_json.", "numpy/_core", pytest.param("libtorch_cpu", marks=pytest.mark.slow)])
def test_ctrl_c_while_libraries_are_loaded(library):
    assert interrupted_when_loaded(library, *POINT) == (130, ["molmo-point: interrupted"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("arguments", [POINT, ("demo", "--out", "{folder}"), ("doctor",), ("bench", "--quick")])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_random_moments(tmp_path, arguments, number):
    random.seed(str((arguments, number)))
    for _ in range(8):
        process = started(*(each.format(folder=tmp_path) for each in arguments))
        time.sleep(random.uniform(0.15, 8.0) if random.random() < 0.7 else random.uniform(0.1, 0.5))
        code, lines = ended(process, number, whole_group=random.random() < 0.5)
        # A signal in the last moment of Python ends the process as it ends any other.
        assert code in (128 + number, 0, -number), lines
        assert code <= 0 or lines[-1:] == ["molmo-point: interrupted"]
        assert not any("Traceback" in line or "xception" in line for line in lines)
        assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("delay_s", [2.0, 9.0, 25.0])
def test_processes_of_a_measurement_end_with_it(delay_s):
    process = started("eval", "pick", "--scenes", "4", "--processes", "2")
    time.sleep(delay_s)
    code, lines = ended(process, whole_group=True)
    assert code == 130 and lines[-1] == "molmo-point: interrupted", lines
    alive = subprocess.run(
        ["ps", "-o", "pid=", "-s", str(process.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert alive == []


def children(pid):
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_doctor_kills_its_probes(tmp_path, monkeypatch, number):
    # The probe of MuJoCo hangs, and has a child that hangs.
    hangs = "import subprocess, time\nsubprocess.Popen(['sleep', '600'])\ntime.sleep(600)\n"
    (tmp_path / "mujoco.py").write_text(hangs)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    process, until, family = started("doctor"), time.monotonic() + 60, []
    while time.monotonic() < until and not (family := [grand for each in children(process.pid) for grand in children(each)]):
        time.sleep(0.05)
    family += children(process.pid)
    begun_s = time.monotonic()
    code, lines = ended(process, number)
    assert (code, lines) == (128 + number, ["molmo-point: interrupted"])
    assert time.monotonic() - begun_s < 2.0
    alive = [pid for pid in family if Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()]
    assert len(family) >= 2 and alive == []


@pytest.mark.parametrize("redirection", ["> /dev/full", pytest.param("| true", marks=pytest.mark.slow), "2>&- >&-"])
def test_a_broken_stdout_is_told_in_one_line(tmp_path, redirection):
    command = f"set -o pipefail; {sys.executable} -m molmo_point.cli calibrate board --json --out {tmp_path}/board {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert len(done.stderr.splitlines()) <= 1 and "Traceback" not in done.stderr and "should not happen" not in done.stderr
    assert ("No space left" in done.stderr) == ("full" in redirection) == (done.returncode == 1)
