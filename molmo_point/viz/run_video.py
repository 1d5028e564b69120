"""Video of a pick: side view of the arm with target and grasp, the cameras' looks, phases and captions."""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw

from molmo_point.geometry.intrinsics import Intrinsics
from molmo_point.geometry.transforms import Transform
from molmo_point.grasp.gripper import Gripper
from molmo_point.picking.run_log import Look, RunLog
from molmo_point.picking.states import PickEvent, PickState
from molmo_point.viz.grasp import BEST, draw_gripper
from molmo_point.viz.overlay import draw_pointing
from molmo_point.viz.scene3d import VirtualCamera, draw_ellipsoid
from molmo_point.viz.text import AMBER, GRAY, INK, PALETTE, PAPER, RGB, font, percent, shortened

SIZE_WH = (960, 600)
_MAIN_WH, _SIDE_WH = (640, 480), (320, 240)
_PANEL: RGB = (26, 29, 35)
_CHIP: RGB = (52, 57, 66)
_SKY = ((58, 66, 80), (96, 104, 116))
_BAD: RGB = (255, 110, 84)
_NAMES = {
    PickState.POINTING: "point",
    PickState.PLANNING: "plan",
    PickState.APPROACH: "approach",
    PickState.VERIFY_POINT: "look again",
    PickState.GRASP: "grasp",
    PickState.LIFT: "lift",
    PickState.VERIFY_LIFT: "verify",
    PickState.PLACE: "place",
}


class RunVideo:
    """Draws the pictures of a run.

    Args:
        log: Record of the run.
        intrinsics: Intrinsics of the side view.
        base_T_observer: Pose of the side view's camera.
        gripper: Dimensions of the gripper to draw.
        cameras: Title and optical frame of the two cameras to show.

    Attributes:
        still: Last picture so far with a planned grasp, else the last picture; None before the first.
    """

    def __init__(
        self,
        log: RunLog,
        intrinsics: Intrinsics,
        base_T_observer: Transform,
        gripper: Gripper,
        cameras: tuple[tuple[str, str], tuple[str, str]],
    ) -> None:
        self._log, self._gripper, self._cameras = log, gripper, cameras
        scale = _MAIN_WH[0] / intrinsics.width
        self._view = VirtualCamera(
            base_T_observer.rotation.T, np.asarray(base_T_observer.translation_m), intrinsics.fx * scale, _MAIN_WH
        )
        self._sides: dict[int, Image.Image] = {}
        self.still: np.ndarray | None = None
        self._still_plans = False

    def pictures(self, film: Iterable[tuple[int, np.ndarray]], hold: int = 6) -> Iterator[np.ndarray]:
        """Draw the pictures (600, 960, 3) uint8 RGB of a film, and the last one `hold` times more, with the outcome.

        The film holds times by the arm's clock, nanoseconds, and pictures of the side view.
        """
        last: tuple[int, np.ndarray] | None = None
        for last in film:
            yield self.picture(*last)
        if last is not None:
            for _ in range(hold):
                yield self.picture(*last, is_end=True)

    def picture(self, stamp_ns: int, aside: np.ndarray, *, is_end: bool = False) -> np.ndarray:
        """Draw the side view (h, w, 3) at a time, nanoseconds; `is_end` writes the outcome, not the present event."""
        canvas = Image.new("RGB", SIZE_WH, _PANEL)
        event = self._log.at(stamp_ns)
        canvas.paste(self._main(stamp_ns, aside, event), (0, 0))
        for row, (title, frame) in enumerate(self._cameras):
            canvas.paste(self._side(title, self._log.look_at(stamp_ns, frame)), (_MAIN_WH[0], row * _SIDE_WH[1]))
        self._write(canvas, stamp_ns, event, is_end)
        picture = np.array(canvas)
        plans = event is not None and event.state in (PickState.PLANNING, PickState.APPROACH)
        if plans or not self._still_plans:
            self.still, self._still_plans = picture, plans
        return picture

    def _main(self, stamp_ns: int, aside: np.ndarray, event: PickEvent | None) -> Image.Image:
        image = Image.fromarray(sky_filled(aside, *_SKY))
        if image.size != _MAIN_WH:
            image = image.resize(_MAIN_WH, Image.Resampling.BICUBIC)
        aimed = self._log.target_at(stamp_ns)
        # From the lift on, the object is no longer at its target.
        if event is None or event.state >= PickState.LIFT or aimed is None or aimed.target is None:
            return image
        if aimed.grasp is not None and event.state is not PickState.GRASP:
            draw_gripper(image, self._view.project, aimed.grasp, self._gripper, BEST, 1)
        draw_ellipsoid(image, self._view, aimed.target, AMBER, scale=1)
        uv, _ = self._view.project(aimed.target.position_m[None])
        if np.isfinite(uv).all():
            text = f"{shortened(aimed.target.label, 24)}  ± {aimed.target.sigma_m * 1e3:.0f} mm"
            place = (float(uv[0, 0]) + 14, float(uv[0, 1]) + 10)
            ImageDraw.Draw(image).text(place, text, font=font(14), fill=AMBER, stroke_width=2, stroke_fill=INK)
        return image

    def _side(self, title: str, look: Look | None) -> Image.Image:
        if id(look) in self._sides:
            return self._sides[id(look)]
        if look is None:
            image = Image.new("RGB", _SIDE_WH, (36, 40, 47))
            ImageDraw.Draw(image).text((160, 120), "not asked yet", font=font(14), fill=GRAY, anchor="mm")
        else:
            image = Image.fromarray(draw_pointing(look.frame.color, look.answer)).resize(_SIDE_WH, Image.Resampling.LANCZOS)
        _write_strip(image, title + _answered(look), image.height - 22, (*INK, 190), PAPER)
        if look is not None and look.answer.cautions:
            cautions = " · ".join(caution.brief for caution in look.answer.cautions)
            _write_strip(image, shortened(cautions, 42), image.height - 44, (*AMBER, 225), INK)
        if look is not None:
            self._sides[id(look)] = image
        return image

    def _write(self, canvas: Image.Image, stamp_ns: int, event: PickEvent | None, is_end: bool) -> None:
        pen = ImageDraw.Draw(canvas)
        top = _MAIN_WH[1]
        pen.text((18, top + 12), f"“{shortened(self._log.caption, 84)}”", font=font(20), fill=PAPER)
        clock = f"{max(stamp_ns - self._log.began_ns, 0) * 1e-9:.1f} s"
        pen.text((SIZE_WH[0] - 18, top + 14), clock, font=font(18), fill=GRAY, anchor="ra")
        self._write_phases(pen, top + 48, event)
        words, tint = "" if event is None else event.message, PAPER
        if is_end and self._log.success is not None:
            words, tint = ("✓ done", BEST) if self._log.success else (self._log.message, _BAD)
        pen.text((18, top + 88), shortened(words, 110), font=font(16), fill=tint)

    def _write_phases(self, pen: ImageDraw.ImageDraw, top: int, event: PickEvent | None) -> None:
        left = 18
        for state, name in _NAMES.items():
            is_now = event is not None and event.state is state
            was = event is not None and state < event.state
            width = 24 + round(pen.textlength(name, font=font(15)))
            fill = AMBER if is_now else _CHIP
            pen.rounded_rectangle((left, top, left + width, top + 28), radius=14, fill=fill)
            ink = INK if is_now else PALETTE[2] if was else GRAY
            pen.text((left + width / 2, top + 14), name, font=font(15), fill=ink, anchor="mm")
            left += width + 10
        if event is not None and event.attempt > 1:
            pen.text((left + 6, top + 14), f"attempt {event.attempt}", font=font(15), fill=AMBER, anchor="lm")


def _write_strip(image: Image.Image, text: str, top: int, ground: tuple[int, int, int, int], ink: RGB) -> None:
    """Write a line at the left edge, on a ground of its length."""
    width = round(ImageDraw.Draw(image).textlength(text, font=font(13)))
    strip = Image.new("RGBA", (width + 14, 22), ground)
    ImageDraw.Draw(strip).text((7, 3), text, font=font(13), fill=ink)
    image.paste(strip, (0, top), strip)


def _answered(look: Look | None) -> str:
    """The model's answer in a few words; the points are too small to read."""
    if look is None:
        return ""
    points, trusted = look.answer.points, look.answer.trusted
    if not points:
        return f": no {shortened(look.answer.query, 24)}" if trusted else ": the model sees none"
    sure = "" if math.isnan(points[0].confidence) else percent(points[0].confidence)
    sure = sure and (f" {sure}" if trusted else f" ({sure})")
    return f": {shortened(points[0].label, 24)}{sure}" + (f", {len(points) - 1} more" if len(points) > 1 else "")


def sky_filled(picture: np.ndarray, top: RGB, bottom: RGB) -> np.ndarray:
    """The picture with a gradient in place of its black background."""
    empty = np.asarray(picture.max(axis=2) == 0)
    share = np.linspace(0.0, 1.0, picture.shape[0])[:, None, None]
    sky = ((1 - share) * np.array(top) + share * np.array(bottom)).astype(np.uint8)
    return np.where(empty[..., None], sky, picture)
