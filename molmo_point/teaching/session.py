"""`TeachingSession`: views of one object, offered one by one, until the library learns it.

session = TeachingSession(library, "my mug")
while len(session.views) < 5:
    offered = session.offer(camera.read())
    print(offered.message, offered.advice.message)
library = session.finish()
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from molmo_point.arrays import ColorArray
from molmo_point.errors import CameraError, InputError, MolmoPointError
from molmo_point.frame import FrameOrImage, RgbdFrame
from molmo_point.model.taught.feature_network import FeatureNetwork
from molmo_point.model.taught.library import Library, TaughtObject
from molmo_point.model.taught.shown_view import ShownView
from molmo_point.teaching.advice import ViewAdvice, ViewPatches, advise
from molmo_point.teaching.masks.given_mask import mask_given, mask_in_box, mask_of_polygon
from molmo_point.teaching.masks.mask_sources import find_object_mask
from molmo_point.teaching.masks.outline import crop_around, import_cv2
from molmo_point.teaching.object_mask import MaskSource, NoMask, ObjectMask, ViewRefusal
from molmo_point.teaching.view_quality import judge_view, look_of, same_view

THUMBNAIL_PX = 192
_KEPT_FRAMES = 8
_LEAST_BLEND = 0.25


@dataclass(frozen=True, eq=False)
class Offered:
    """Outcome of one offered image.

    Attributes:
        accepted: True if it became a view.
        refusal: Reason against it; None if it was accepted.
        message: One plain sentence: the reason against it, or the number of views.
        advice: The view that would help most next.
        thumbnail: The object cut out (h, w, 3), its background pale; None without a mask.
        mask: Mask of the object; None without one.
        places: Pixels (u, v) of the objects that are seen, for a choice by click; empty with a mask.
        views: Number of views so far.
    """

    accepted: bool
    refusal: ViewRefusal | None
    message: str
    advice: ViewAdvice
    thumbnail: ColorArray | None = None
    mask: ObjectMask | None = None
    places: tuple[tuple[float, float], ...] = ()
    views: int = 0


@dataclass(frozen=True, eq=False)
class LookAlike:
    """A taught object that another one may be taken for.

    Attributes:
        name: Its name.
        thumbnail: Its picture (h, w, 3).
        own_thumbnail: Picture (h, w, 3) of the object that may be taken for it.
    """

    name: str
    thumbnail: ColorArray
    own_thumbnail: ColorArray


class TeachingSession:
    """Views of one object for a library. The library that was given never changes.

    Args:
        library: Library that is to learn the object.
        name: Name of the object, e.g. "my mug".
        aliases: Other names of this object alone.
        categories: Words that it shares with others, e.g. "mug".
        add: Add views to an object of this name; False refuses a name that exists.
        source: Source of the masks.
        empty: The scene without the object, for the difference; None without one.
        network: Feature network; None loads that of the library.

    Raises:
        InputError: The name exists, or is unknown with `add`; or the library has other features than this version.
    """

    def __init__(
        self,
        library: Library,
        name: str,
        aliases: Sequence[str] = (),
        categories: Sequence[str] = (),
        *,
        add: bool = False,
        source: MaskSource = MaskSource.AUTO,
        empty: FrameOrImage | None = None,
        network: FeatureNetwork | None = None,
    ) -> None:
        check_name(library, name, aliases, add)
        self.library, self.name = library, name
        self.aliases, self.categories = tuple(aliases), tuple(categories)
        self.add, self.source = add, source
        self.empty = None if empty is None else RgbdFrame.of(empty)
        self._network = library.load_network() if network is None else network
        self._views: list[tuple[ShownView, ViewPatches]] = []
        self._frames: list[RgbdFrame] = []
        self.refused = 0
        """Number of images that were refused."""

    @property
    def views(self) -> tuple[ShownView, ...]:
        """Views so far."""
        return tuple(view for view, _ in self._views)

    @property
    def advice(self) -> ViewAdvice:
        """The view that would help most next."""
        return advise([patches for _, patches in self._views])

    def offer(
        self,
        image: FrameOrImage,
        *,
        uv: tuple[float, float] | None = None,
        mask: "ObjectMask | ArrayLike | None" = None,
        polygon: ArrayLike | None = None,
        box: ArrayLike | None = None,
        origin: str = "",
    ) -> Offered:
        """Offer one image of the object, and take it as a view unless it is poor.

        Args:
            image: Frame of any camera, or an RGB image (h, w, 3); its `rotate_deg` makes the view upright.
            uv: Pixel on the object, e.g. a click or a point of another model.
            mask: Mask of the object: as found elsewhere, or an image whose pixels are not zero on the object.
            polygon: Corners (n, 2) around the object, in pixels.
            box: (left, top, right, bottom) around the object, in pixels.
            origin: Source of the image, e.g. the name of a file.

        Returns:
            The outcome; a poor image is refused with its reason, and is no error.

        Raises:
            InputError: The image or the hint cannot be used as given.
        """
        frame = RgbdFrame.of(image)
        found = self._mask(frame, uv, mask, polygon, box)
        self._frames = [*self._frames[1 - _KEPT_FRAMES :], frame]
        if isinstance(found, NoMask):
            return self._refused(found.refusal, found.message, places=found.places)
        color, shown = frame.upright_color, _upright(found, frame.rotate_deg)
        thumbnail = cut_out(color, shown)
        fault = judge_view(color, shown.mask)
        fault = fault or same_view(look_of(color, shown.mask), [patches.look for _, patches in self._views])
        if fault is not None:
            return self._refused(fault.refusal, fault.message, thumbnail, found)
        view = ShownView(color, shown.mask, shown.ignored, origin, frame.stamp_ns or None)
        self._views.append((view, ViewPatches.of(view, self._network.grid(color))))
        count = len(self._views)
        said = f"View {count} of {self.name!r} is taken."
        return Offered(True, None, said, self.advice, thumbnail, found, views=count)

    def undo(self) -> None:
        """Take the last view back.

        Raises:
            InputError: There is no view.
        """
        if not self._views:
            raise InputError("a view must have been taken before it can be taken back", "no views", "offer a view first")
        self._views.pop()

    def finish(self) -> Library:
        """Teach the object, and return the library that knows it; the given library stays as it was.

        Raises:
            InputError: There is no view, or the name cannot be used.
        """
        if not self._views:
            given = f"no views, {self.refused} images refused"
            raise InputError(f"{self.name!r} must have one good view or more", given, self.advice.message)
        return self.library.taught(self.name, self.views, self.aliases, self.categories, add=self.add)

    def _mask(
        self,
        frame: RgbdFrame,
        uv: tuple[float, float] | None,
        mask: "ObjectMask | ArrayLike | None",
        polygon: ArrayLike | None,
        box: ArrayLike | None,
    ) -> ObjectMask | NoMask:
        hints = [name for name, hint in (("mask", mask), ("polygon", polygon), ("box", box)) if hint is not None]
        if len(hints) > 1 or (hints and uv is not None):
            given = ", ".join([*hints, *(["uv"] if uv is not None else [])])
            raise InputError("only one of mask, polygon, box and uv must be given", given, "leave the others out")
        if isinstance(mask, ObjectMask):
            return mask
        if mask is not None:
            return mask_given(frame.color, mask)
        if polygon is not None:
            return mask_of_polygon(frame.color, polygon)
        if box is not None:
            return mask_in_box(frame.color, box)
        return find_object_mask(frame, self.source, uv=uv, empty=self.empty, before=self._frames)

    def _refused(
        self,
        refusal: ViewRefusal,
        message: str,
        thumbnail: ColorArray | None = None,
        mask: ObjectMask | None = None,
        places: tuple[tuple[float, float], ...] = (),
    ) -> Offered:
        self.refused += 1
        return Offered(False, refusal, message, self.advice, thumbnail, mask, places, len(self._views))


def _upright(found: ObjectMask, rotate_deg: int) -> ObjectMask:
    """Turn a mask with its picture, degrees clockwise, a multiple of 90."""
    mask, ignored = (np.ascontiguousarray(np.rot90(each, -rotate_deg // 90)) for each in (found.mask, found.ignored))
    return replace(found, mask=mask, ignored=ignored) if rotate_deg else found


def offer_frames(session: TeachingSession, read: Callable[[], RgbdFrame], views: int = 5, tries: int = 100) -> Iterator[Offered]:
    """Offer frames of a camera until enough views are good; the caller stops by not asking for more.

    Args:
        session: Session that takes the views.
        read: Returns the next frame, e.g. `camera.read`.
        views: Number of good views in all.
        tries: Largest number of frames.

    Raises:
        CameraError: The camera stopped; the views so far stay in the session.
        InputError: Too few of the frames were good.
    """
    last = ""
    for _ in range(tries):
        if len(session.views) >= views:
            return
        try:
            frame = read()
        except CameraError as error:
            given = f"{len(session.views)} of {views} views, then: {error.what}"
            fix = "check the camera, then go on: the views so far are kept, and the library is as before"
            raise CameraError("camera must deliver frames until all views are taken", given, fix) from error
        offered = session.offer(frame)
        last = offered.message
        yield offered
    if len(session.views) < views:
        given = f"{len(session.views)} of {views} after {tries} frames; the last one: {last}"
        raise InputError("enough frames must show a good view", given, "change the view as advised, or ask for fewer views")


def check_name(library: Library, name: str, aliases: Sequence[str], add: bool) -> None:
    """Check the names of an object before it is shown.

    Raises:
        InputError: A name exists, or none of the name with `add`.
    """
    if add:
        library.find(name)
        return
    for word in (name, *aliases):
        known = _known(library, word)
        if known is not None:
            given = f"{word!r}, which is {known.name!r} with {len(known.views)} views"
            raise InputError(
                "name must not exist in the library", given, "take another name, add views to it, or forget it first"
            )


def _known(library: Library, word: str) -> TaughtObject | None:
    try:
        return library.find(word)
    except MolmoPointError:
        return None


def look_alikes(library: Library, name: str) -> tuple[LookAlike, ...]:
    """Return the taught objects that an object may be taken for, each with both pictures.

    Raises:
        InputError: The library has no object of this name.
    """
    own = library.find(name).views[0].thumbnail
    return tuple(LookAlike(other, library.find(other).views[0].thumbnail, own) for other in library.looks_like(name))


def cut_out(color: ColorArray, mask: ObjectMask, side_px: int = THUMBNAIL_PX) -> ColorArray:
    """Return the object cut out of an image, its background pale.

    Args:
        color: RGB image (h, w, 3).
        mask: Mask of the object.
        side_px: Longer side of the result, in pixels.
    """
    cv2 = import_cv2()
    box = crop_around(mask.mask, 0.1 * np.sqrt(np.count_nonzero(mask.mask)) + 2)
    part, inside = color[box], (mask.mask | mask.ignored)[box]
    pale = 255.0 - _LEAST_BLEND * (255.0 - part)
    shown = np.where(inside[..., None], part, pale).astype(np.uint8)
    scale = min(1.0, side_px / max(part.shape[:2]))
    size = (max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1))
    return np.ascontiguousarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
