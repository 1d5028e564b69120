"""The `molmo-point view` command: a simulated arm in the browser, with a box for commands and a panel to teach objects."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from molmo_point.cli.number_options import amount, seed
from molmo_point.cli.point import add_accept_cautions, add_model, load_pointer
from molmo_point.cli.signal_end import must_unwind
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.files import read_file

_IDLE_S = 1 / 30
_MAX_TOKEN_BYTES = 1000
_VIEWS = 6
_FIXED_IMAGE = "fixed camera"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `view`."""
    parser.description = (
        "Opens a page with a simulated arm: camera images with points, point cloud, grasps, target ellipsoids, and a box "
        "for commands such as 'pick up the green cube and put it aside'. Objects on the table can be taught; --taught FILE "
        "keeps them. Ends with Ctrl-C."
    )
    parser.add_argument("--seed", type=seed, default=1, help="seed of the table (default 1; the embedded model errs on some)")
    parser.add_argument("--objects", type=amount(30), default=5, metavar="N", help="number of objects on it (default 5)")
    parser.add_argument("--containers", default="", metavar="KINDS", help="containers on it, e.g. bowl,plate,tray,box")
    parser.add_argument("--command", action="append", default=[], metavar="TEXT", help="do this first; may be repeated")
    parser.add_argument("--speech", action="append", default=[], metavar="FILE", help="a command in a WAV file; may be repeated")
    add_accept_cautions(parser)
    parser.add_argument("--once", action="store_true", help="end after these commands")
    group = parser.add_argument_group("who may use the page; see docs/security.md")
    group.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    group.add_argument("--port", type=int, default=8080, help="port of the page; 0 takes a free one (default 8080)")
    group.add_argument(
        "--public-origin", action="append", default=[], metavar="URL", help="address of a proxy that serves the page to others"
    )
    group.add_argument("--token-file", type=Path, metavar="FILE", help="token for browsers (default: a new one, beyond loopback)")
    group.add_argument("--stop-when-closed", action="store_true", help="stop the arm when the last browser closes the page")
    add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    import numpy as np

    from molmo_point.picking.command_queue import CommandQueue
    from molmo_point.picking.pick import Picker
    from molmo_point.picking.pick_settings import PickSettings
    from molmo_point.picking.run_log import WatchedPointer
    from molmo_point.sim.arm import SimulatedArm, random_arm_layout
    from molmo_point.sim.arm.containers import kinds_in
    from molmo_point.teaching.taught_layer import TaughtLayer
    from molmo_point.viz.browser.access import access_of
    from molmo_point.viz.browser.arm_view import ArmOnPage
    from molmo_point.viz.browser.page import Page

    token = _token(options.token_file)
    # What can be refused is refused before the model is loaded.
    access_of(options.host, True, options.port, options.public_origin, token or "")
    layout = random_arm_layout(np.random.default_rng(options.seed), options.objects, kinds_in(options.containers))
    file = _library_file(options)
    pointer = load_pointer(options)
    taught = TaughtLayer(pointer.backend, file, lambda reason: page.say(reason))
    shown: list[ArmOnPage] = []
    names = [item.name for item in (*layout.objects, *layout.containers)]

    def tick(arm: SimulatedArm) -> None:
        for each in shown:
            each.tick(arm)

    with must_unwind(), SimulatedArm(layout, on_tick=tick, pace=1.0) as arm:
        commands = CommandQueue(arm, lambda line: page.say(line), lambda stopped: page.show_stopped(stopped))
        fixed, wrist = arm.open_camera("fixed"), arm.open_camera("wrist")
        desk = _desk(taught, arm, (fixed, wrist), commands, lambda picture: page.image(_FIXED_IMAGE, picture))
        actions = _actions(commands, desk, options.stop_when_closed)
        page = Page(actions, host=options.host, port=options.port, public_origins=tuple(options.public_origin), token=token)
        try:
            shown.append(ArmOnPage(arm, page))
            desk.open(page.teaching)
            watched = WatchedPointer(taught.pointer, shown[0].answered)
            picker = Picker(watched, arm, fixed, wrist, PickSettings(accept_cautions=options.accept_cautions))
            print(f"{page.url}  (on the table: {', '.join(names)}; Ctrl-C ends)", flush=True)
            good = [commands.take(text) for text in options.command]
            listener = _listener(options.speech, names, commands)
            no_more = lambda: options.once and (listener is None or listener.idle)  # noqa: E731
            return _serve(picker, page, shown[0], commands, desk, no_more, all(good))
        finally:
            arm.stop()
            page.close()


def _actions(commands: Any, desk: Any, stop_when_closed: bool) -> Any:
    """Collect the functions behind the page's box and buttons."""
    from molmo_point.viz.browser.page import PageActions
    from molmo_point.viz.browser.teaching_panel import TeachingActions

    return PageActions(
        commands.take,
        lambda: commands.stop("STOP"),
        commands.resume,
        (lambda: commands.stop("the page was closed")) if stop_when_closed else None,
        TeachingActions(desk.teach, desk.forget),
    )


def _desk(taught: Any, arm: Any, cameras: tuple[Any, Any], commands: Any, show_image: Callable[[Any], object]) -> Any:
    """Make the desk that teaches objects with the cameras of the arm."""
    from molmo_point.teaching.circling import Circler
    from molmo_point.teaching.circling_settings import CirclingSettings
    from molmo_point.viz.browser.teaching_desk import TeachingDesk

    fixed, wrist = cameras
    circler = Circler(arm, wrist, fixed, CirclingSettings(views=_VIEWS))
    return TeachingDesk(taught, circler, fixed, commands.permit, show_image)


def _library_file(options: argparse.Namespace) -> Path | None:
    """Take the library file from the options, since the page changes it; None without one.

    Raises:
        InputError: There are several.
    """
    files, options.taught = options.taught or [], None
    if len(files) > 1:
        fix = "give one; merge several with `molmo-point taught merge`"
        raise InputError("--taught must name one file, which the page changes", ", ".join(map(str, files)), fix)
    return files[0] if files else None


def _token(path: Path | None) -> str | None:
    """Token in a file; None without one."""
    return None if path is None else read_file(path, limit_bytes=_MAX_TOKEN_BYTES).decode("ascii", "replace").strip()


def _listener(files: list[str], names: list[str], commands: Any) -> Any:
    """Begin to hear sound files, whose words go to the commands; names of objects are hints. None without files."""
    if not files:
        return None
    from molmo_point.commands.speech import SpeechListener, SpeechRecognizer

    listener = SpeechListener(SpeechRecognizer(objects=names), commands)
    for file in files:
        listener.listen(file)
    return listener


def _serve(picker: Any, page: Any, shown: Any, commands: Any, desk: Any, no_more: Any, good: bool) -> int:
    """Execute the commands, and teach, in this thread, the only one that moves the arm."""
    while True:
        last = no_more()
        accepted = commands.next()
        if accepted is not None:
            # What was taught until now answers the whole command.
            picker.pointer.backend = desk.layer.pointer.backend
            good = _do(accepted, picker, page, shown) and good
        elif last:
            return 0 if good and not commands.dropped else 1
        elif not desk.work():
            picker.arm.wait(_IDLE_S)


def _do(accepted: Any, picker: Any, page: Any, shown: Any) -> bool:
    from molmo_point.picking.command_executor import PickerExecutor, carry_out

    command = accepted.command
    page.say(f"“{command.text}” means: {command.describe()}")
    try:
        outcomes = carry_out(command, PickerExecutor(picker, on_state=shown.happened, permit=accepted.permit))
    except MolmoPointError as error:
        page.say(str(error))
        return False
    last = outcomes[-1]
    page.say(f"{'done' if last.success else 'not done'}: {last.message}")
    return last.success
