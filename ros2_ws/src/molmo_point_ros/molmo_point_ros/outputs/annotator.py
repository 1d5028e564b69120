"""Answers drawn on their images and published as JPEG, in a thread of their own, for subscribers only."""

import dataclasses
import io
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from molmo_point_msgs.msg import PointTarget
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from molmo_point.arrays import ColorArray
from molmo_point.frame import RgbdFrame
from molmo_point.results import Found
from molmo_point_ros.conversions.cautions import cautions_of
from molmo_point_ros.conversions.targets import header_of
from molmo_point_ros.pointing.answers import QueryAnswer
from molmo_point_ros.pointing.gates import NAMES

_IDLE_S = 0.5


def draw(color: ColorArray, answers: Sequence[QueryAnswer]) -> NDArray[np.uint8]:
    """Return the image (h, w, 3) RGB with all points of the answers, their distances, and the reasons for missing ones."""
    from molmo_point.viz.overlay import draw_points

    queries = ", ".join(answer.message.query for answer in answers)
    found = [_labeled(each, told) for answer in answers for each, told in zip(answer.found, answer.message.targets)]
    nothing = all(answer.message.absent for answer in answers)
    banner = f"{'not in this image' if nothing and not found else 'point to'}: {queries}"
    doubtful = [number for number, doubt in enumerate(doubt for answer in answers for doubt in answer.doubted) if doubt]
    cautions = dict.fromkeys(caution.brief for answer in answers for caution in cautions_of(answer.message))
    return draw_points(
        color, found, banner=banner if queries else "", cautions=tuple(cautions), doubtful=doubtful, warning=not found
    )


def _labeled(found: Found, told: PointTarget) -> Found:
    """Name the gate in the label of a point that a gate stops."""
    if told.gate == told.GATE_OPEN:
        return found
    label = f"{found.point.label}, stopped: {NAMES[told.gate]}"
    return dataclasses.replace(found, point=dataclasses.replace(found.point, label=label))


def jpeg_message(color: ColorArray, quality: int, frame: str, stamp_ns: int) -> CompressedImage:
    """Return an RGB image (h, w, 3) as a JPEG message with its capture time."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(color).save(buffer, format="JPEG", quality=quality)
    message = CompressedImage(header=header_of(frame, stamp_ns), format="jpeg")
    # rclpy checks every element of bytes in Python, but accepts an array of bytes unchecked.
    message.data.frombytes(buffer.getvalue())
    return message


class Annotator:
    """Publishes annotated images of the newest answers, drawn only for subscribers.

    Args:
        publisher: Publisher of CompressedImage.
        logger: Told the errors of drawing.
        max_rate_hz: Most images per second, in hertz.
        quality: JPEG quality, 1 to 95.
    """

    def __init__(self, publisher: Any, logger: Any, max_rate_hz: float = 5.0, quality: int = 80) -> None:
        self._publisher, self._logger = publisher, logger
        self._period_s, self._quality = 1.0 / max_rate_hz, quality
        self._condition = threading.Condition()
        self._next: tuple[RgbdFrame, tuple[QueryAnswer, ...]] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="annotator", daemon=True)
        self._thread.start()

    def offer(self, frame: RgbdFrame, answers: Sequence[QueryAnswer]) -> None:
        """Queue answers for drawing on their image; returns at once."""
        if self._publisher.get_subscription_count() == 0:
            return
        with self._condition:
            self._next = (frame, tuple(answers))
            self._condition.notify_all()

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while True:
            with self._condition:
                while self._next is None and not self._closed:
                    self._condition.wait(_IDLE_S)
                if self._closed:
                    return
                work, self._next = self._next, None
            assert work is not None
            started_s = time.monotonic()
            frame, answers = work
            try:
                picture = draw(frame.color, answers)
                self._publisher.publish(jpeg_message(picture, self._quality, frame.frame, frame.stamp_ns))
            except Exception as error:
                self._logger.warning(f"no annotated image: {error!r}", throttle_duration_sec=5.0)
            with self._condition:
                self._condition.wait_for(lambda: self._closed, max(self._period_s - (time.monotonic() - started_s), 0.0))
