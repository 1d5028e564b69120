"""The `molmo-point view` command: a simulated arm in the browser, with a box for commands."""

import argparse
import queue
import threading
from typing import Any

from molmo_point.cli.point import add_model, load_pointer
from molmo_point.errors import MolmoPointError

_IDLE_S = 1 / 30
_CLOSE = object()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `view`."""
    parser.description = (
        "Opens a page with a simulated arm: camera images with points, point cloud, grasps, target ellipsoids, and a box "
        "for commands such as 'pick up the green cube and put it aside'. Ends with Ctrl-C."
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the table (default 1; the embedded model errs on some)")
    parser.add_argument("--objects", type=int, default=5, metavar="N", help="number of objects on it (default 5)")
    parser.add_argument("--containers", default="", metavar="KINDS", help="containers on it, e.g. bowl,plate,tray,box")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=int, default=8080, help="port of the page; 0 takes a free one (default 8080)")
    parser.add_argument("--command", action="append", default=[], metavar="TEXT", help="do this first; may be repeated")
    parser.add_argument("--speech", action="append", default=[], metavar="FILE", help="a command in a WAV file; may be repeated")
    parser.add_argument("--once", action="store_true", help="end after these commands")
    add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    import numpy as np

    from molmo_point.picking.pick import Picker
    from molmo_point.picking.run_log import WatchedPointer
    from molmo_point.sim.arm import SimulatedArm, random_arm_layout
    from molmo_point.sim.arm.containers import kinds_in
    from molmo_point.viz.browser.arm_view import ArmOnPage
    from molmo_point.viz.browser.page import Page

    jobs: queue.Queue[Any] = queue.Queue()
    stopped = threading.Event()
    pointer = load_pointer(options)
    shown: list[ArmOnPage] = []
    layout = random_arm_layout(np.random.default_rng(options.seed), options.objects, kinds_in(options.containers))
    names = [item.name for item in (*layout.objects, *layout.containers)]

    def tick(arm: SimulatedArm) -> None:
        for each in shown:
            each.tick(arm)

    with SimulatedArm(layout, on_tick=tick, pace=1.0) as arm:
        page = Page(jobs.put, stopped.set, host=options.host, port=options.port)
        try:
            shown.append(ArmOnPage(arm, page))
            watched = WatchedPointer(pointer, shown[0].answered)
            picker = Picker(watched, arm, arm.open_camera("fixed"), arm.open_camera("wrist"))
            print(f"{page.url}  (on the table: {', '.join(names)}; Ctrl-C ends)", flush=True)
            for text in (*options.command, *_heard(options.speech, names)):
                jobs.put(text)
            if options.once:
                jobs.put(_CLOSE)
            return _serve(picker, page, shown[0], jobs, stopped)
        finally:
            page.close()


def _heard(files: list[str], names: list[str]) -> list[str]:
    """Return the texts of sound files; the names of the objects on the table are hints."""
    if not files:
        return []
    from molmo_point.commands.speech import SpeechRecognizer

    recognizer = SpeechRecognizer(objects=names)
    return [recognizer.hear(file).text for file in files]


def _serve(picker: Any, page: Any, shown: Any, jobs: Any, stopped: threading.Event) -> int:
    """Execute the commands in this thread, the only one that may move the arm."""
    good = True
    try:
        while True:
            try:
                text = jobs.get_nowait()
            except queue.Empty:
                picker.arm.wait(_IDLE_S)
                continue
            if text is _CLOSE:
                return 0 if good else 1
            stopped.clear()
            good = _do(str(text), picker, page, shown, stopped) and good
    except KeyboardInterrupt:
        return 0


def _do(text: str, picker: Any, page: Any, shown: Any, stopped: threading.Event) -> bool:
    from molmo_point.commands import parse_command
    from molmo_point.picking.command_executor import PickerExecutor, carry_out

    page.say(f"“{text}”")
    try:
        command = parse_command(text)
        page.say(f"means: {command.describe()}")
        outcomes = carry_out(command, PickerExecutor(picker, cancelled=stopped.is_set, on_state=shown.happened))
    except MolmoPointError as error:
        page.say(str(error))
        return False
    last = outcomes[-1]
    page.say(f"{'done' if last.success else 'not done'}: {last.message}")
    return last.success
