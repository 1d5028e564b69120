"""The option `--circle`: the camera on the hand of an arm shows the object by itself."""

import argparse
from typing import Any

from molmo_point.arm.arm_registry import ARMS, open_arm, usage
from molmo_point.cli.signal_end import must_unwind
from molmo_point.cli.teach.showing import SeenPicture, ShowingLog
from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.circling import Circler
from molmo_point.teaching.circling_settings import CirclingSettings
from molmo_point.teaching.session import TeachingSession
from molmo_point.teaching.view_offer import ViewAnswer


def add_circle(parser: argparse.ArgumentParser) -> None:
    """Add the options of circling to a parser."""
    group = parser.add_argument_group("showing with an arm, whose camera on the hand circles the object")
    told = f"an arm with a planner: {usage()}; options after a question mark, e.g. simulated?scene_seed=3&object_count=1"
    group.add_argument("--circle", metavar="ARM", help=told)
    told = "position on the object, meters, base frame (default: the only object on the table)"
    group.add_argument("--place", metavar="X,Y,Z", help=told)


def show_circling(session: TeachingSession, options: argparse.Namespace, log: ShowingLog) -> None:
    """Let the arm circle the object, and offer what it sees.

    Raises:
        InputError: The arm is unknown or has no camera on its hand, or the circling failed; nothing is learnt.
    """

    def offer(frame: RgbdFrame, pixel: tuple[float, float]) -> ViewAnswer:
        offered = session.offer(frame, uv=pixel, origin=frame.frame)
        mask = None if offered.mask is None else offered.mask.mask
        refusal = "" if offered.refusal is None else offered.refusal.value
        log.note(SeenPicture(frame.frame, frame.color, mask, refusal, offered.message if refusal else ""), "")
        return ViewAnswer(offered.accepted, offered.message)

    name, values = arm_of(options.circle)
    at = None if options.place is None else place_in(options.place)
    with must_unwind(), open_arm(name, values) as arm:
        fixed = arm.open_camera("fixed") if "fixed" in arm.camera_frames else None
        circler = Circler(arm, arm.open_camera("wrist"), fixed, CirclingSettings(views=log.views))
        circled = circler.circle(offer, at)
    if not circled.success:
        fix = "change what it says; nothing was learnt"
        raise InputError("The arm must be able to circle the object", circled.message, fix)
    log.advice = circled.message


def place_in(text: str) -> list[float]:
    """Return the three numbers of a position.

    Raises:
        InputError: They are no three numbers.
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            "--place must be three numbers, X,Y,Z in meters", repr(text), "write e.g. --place 0.05,0.1,0.02"
        ) from error
    return [x, y, z]


def arm_of(text: str) -> tuple[str, dict[str, Any]]:
    """Return name and options of an arm in a text such as `simulated?scene_seed=3`.

    Raises:
        InputError: An option is unknown.
    """
    name, _, rest = text.partition("?")
    values: dict[str, Any] = {}
    known = ARMS[name].options if name in ARMS else ()
    for part in filter(None, rest.split("&")):
        key, _, value = part.partition("=")
        if key not in known or not value:
            raise InputError(f"Options of the arm must be of {', '.join(known) or 'none'}", repr(part), "write NAME?OPTION=VALUE")
        values[key] = int(value) if value.isdigit() else value
    return name, values
