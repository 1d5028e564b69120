"""Teaching on the page: the wrist camera circles an object on the table, and the panel shows what was learnt."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from molmo_point.arm.stop_latch import Permit
from molmo_point.camera.base import Camera
from molmo_point.errors import InputError, MolmoPointError
from molmo_point.frame import RgbdFrame
from molmo_point.model.taught.library import Library
from molmo_point.model.taught.object_names import checked_name
from molmo_point.picking.states import PickEvent
from molmo_point.teaching.circling import Circler, ViewAnswer
from molmo_point.teaching.masks.region_mask import standing_objects
from molmo_point.teaching.session import Offered, TeachingSession, look_alikes
from molmo_point.teaching.taught_layer import TaughtLayer
from molmo_point.viz.browser.teaching_panel import TeachingPanel
from molmo_point.viz.taught_pictures import CaptionedTile, draw_numbers, draw_tiles

_TILES = 12
_Place = tuple[float, float]


@dataclass(frozen=True)
class _Wish:
    """Something that a browser asked for: to teach with a permit to move, or to forget without one."""

    name: str
    place: _Place | None = None
    permit: Permit | None = None


class TeachingDesk:
    """Teaches and forgets, one wish at a time, in the thread that moves the arm.

    `teach` and `forget` may be called from any thread, and return at once; `work` does what they ask for.

    Args:
        layer: Library in use.
        circler: Circles an object with the wrist camera of the arm.
        camera: The fixed camera, in whose image objects are numbered.
        resume: Lets the arm move again, and returns the permit of a new wish.
        show_image: Shows a picture of the fixed camera.

    Attributes:
        layer: Library in use.
    """

    def __init__(
        self,
        layer: TaughtLayer,
        circler: Circler,
        camera: Camera,
        resume: Callable[[], Permit],
        show_image: Callable[[np.ndarray], object],
    ) -> None:
        self.layer, self._circler, self._camera = layer, circler, camera
        self._resume, self._show_image = resume, show_image
        self._panel: TeachingPanel | None = None
        self._lock = threading.Lock()
        self._wish: _Wish | None = None
        self._places: tuple[_Place, ...] = ()
        self._tiles: list[CaptionedTile] = []

    def open(self, panel: TeachingPanel) -> None:
        """Show the library on a panel, and report to it from now on."""
        self._panel = panel
        self._show_library(self.layer.refresh())

    def teach(self, name: str, number: int | None) -> None:
        """Ask for an object to be taught.

        Args:
            name: Its name; more views are added to an object that has it.
            number: Its number in the image; None is the only object.
        """
        try:
            name = checked_name(name)
            place = None if number is None else self._places[number - 1]
        except (MolmoPointError, IndexError) as error:
            self._say(str(error) if isinstance(error, MolmoPointError) else "The image has no object of this number.")
            return
        self._ask(lambda: _Wish(name, place, self._resume()))

    def forget(self, name: str) -> None:
        """Ask for an object to be forgotten."""
        self._ask(lambda: _Wish(name))

    def _ask(self, wish: Callable[[], _Wish]) -> None:
        with self._lock:
            if self._wish is not None:
                self._say("Wait until the last wish is done.")
                return
            self._wish = wish()

    def work(self) -> bool:
        """Do what was asked for; returns False if nothing was."""
        wish = self._wish
        if wish is None:
            return False
        try:
            if wish.permit is None:
                self._show_library(self.layer.forget(wish.name))
                self._say(f"{wish.name!r} is forgotten.")
            else:
                self._teach(wish, wish.permit)
        except MolmoPointError as error:
            self._say(str(error))
        finally:
            with self._lock:
                self._wish = None
        return True

    def _teach(self, wish: _Wish, permit: Permit) -> None:
        library = self.layer.refresh()
        self.layer.check_writable()
        if wish.place is None and self._are_several():
            return
        session = TeachingSession(library, wish.name, add=_is_known(library, wish.name))
        self._tiles = []
        circled = self._circler.circle(
            lambda frame, uv: self._offered(session, frame, uv), at_pixel=wish.place, on_state=self._happened, permit=permit
        )
        if not circled.success:
            self._say(f"Nothing was learnt: {circled.message}")
            return
        self._say(f"{len(session.views)} views; learning {wish.name!r} ...")
        written = self.layer.commit(session.finish())
        self._show_library(written)
        self._choose(())
        self._say(f"{wish.name!r} is learnt from {len(session.views)} views. Next: {session.advice.message}")

    def _are_several(self) -> bool:
        """Number the objects on the table if there are several; returns True if somebody must choose one."""
        frame = self._camera.read()
        places = standing_objects(frame).places()
        several = len(places) > 1
        self._choose(places if several else ())
        if several:
            self._show_image(draw_numbers(frame.color, places))
            self._say(f"{len(places)} objects are seen: choose the number of one, and press teach again.")
        return several

    def _choose(self, places: tuple[_Place, ...]) -> None:
        self._places = places
        if self._panel is not None:
            self._panel.show_choices(len(places))

    def _offered(self, session: TeachingSession, frame: RgbdFrame, uv: _Place) -> ViewAnswer:
        offered = session.offer(frame, uv=uv, origin=frame.frame)
        self._tiles.append(_tile(offered))
        if self._panel is not None:
            self._panel.show_views(draw_tiles(self._tiles[-_TILES:]))
        self._say(offered.message)
        return ViewAnswer(offered.accepted, "" if offered.accepted else offered.message)

    def _happened(self, event: PickEvent) -> None:
        self._say(event.message)

    def _show_library(self, library: Library) -> None:
        if self._panel is None:
            return
        tiles = [_object_tile(library, name) for name in library.names]
        alike = [(name, each) for name in library.names for each in look_alikes(library, name)]
        pairs = [
            CaptionedTile(_side_by_side(each.own_thumbnail, each.thumbnail), ("look alike:", f"{name}, {each.name}"))
            for name, each in alike
        ]
        self._panel.show_taught(library.names, draw_tiles([*tiles, *pairs]) if tiles else None)

    def _say(self, line: str) -> None:
        if self._panel is not None:
            self._panel.say(line)


def _is_known(library: Library, name: str) -> bool:
    try:
        library.find(name)
    except InputError:
        return False
    return True


def _tile(offered: Offered) -> CaptionedTile:
    """Draw an offered view with its number, or with the kind of its refusal."""
    blank = np.full((8, 8, 3), 40, np.uint8)
    picture = blank if offered.thumbnail is None else offered.thumbnail
    if offered.refusal is None:
        return CaptionedTile(picture, (f"view {offered.views}", ""), False)
    return CaptionedTile(picture, ("refused", offered.refusal.value.lower().replace("_", " ")), True)


def _object_tile(library: Library, name: str) -> CaptionedTile:
    taught = library.find(name)
    alike = library.looks_like(name)
    more = f"looks like {alike[0]}" if alike else ", ".join(taught.aliases)
    return CaptionedTile(taught.views[0].thumbnail, (name, f"{len(taught.views)} views", more))


def _side_by_side(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Put two pictures into one."""
    height = max(one.shape[0], other.shape[0])
    padded = [np.pad(each, ((0, height - each.shape[0]), (0, 4), (0, 0)), constant_values=40) for each in (one, other)]
    return np.concatenate(padded, axis=1)
