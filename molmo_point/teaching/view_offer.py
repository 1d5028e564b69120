"""Offers of views that an arm takes, and the answers to them."""

from collections.abc import Callable
from dataclasses import dataclass

from molmo_point.frame import RgbdFrame
from molmo_point.teaching.session import TeachingSession


@dataclass(frozen=True)
class ViewAnswer:
    """Answer to an offered view.

    Attributes:
        accepted: True if the view was taken.
        message: Reason for a refusal, for people; "" if accepted.
    """

    accepted: bool
    message: str = ""


Offer = Callable[[RgbdFrame, tuple[float, float]], ViewAnswer]
"""Takes a frame and a pixel (u, v) on the object, and tells if it is a good view. `rotate_deg` makes the picture upright."""


def offers_to(session: TeachingSession) -> Offer:
    """Return an `Offer` that offers views to a session, which then learns them with `finish`."""

    def offer(frame: RgbdFrame, pixel: tuple[float, float]) -> ViewAnswer:
        offered = session.offer(frame, uv=pixel, origin=frame.frame)
        return ViewAnswer(offered.accepted, offered.message if offered.refusal else "")

    return offer
