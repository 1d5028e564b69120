"""The mask of a shown object, by the best source for what is given."""

from collections.abc import Sequence

from molmo_point.errors import InputError
from molmo_point.frame import RgbdFrame
from molmo_point.teaching.masks.color_mask import mask_by_click
from molmo_point.teaching.masks.difference_mask import mask_by_difference
from molmo_point.teaching.masks.motion_mask import mask_by_motion
from molmo_point.teaching.masks.photograph_mask import mask_of_photograph
from molmo_point.teaching.masks.region_mask import mask_by_region
from molmo_point.teaching.object_mask import MaskSource, NoMask, ObjectMask


def find_object_mask(
    frame: RgbdFrame,
    source: MaskSource = MaskSource.AUTO,
    *,
    uv: tuple[float, float] | None = None,
    empty: RgbdFrame | None = None,
    before: Sequence[RgbdFrame] = (),
) -> ObjectMask | NoMask:
    """Find the mask of the shown object.

    AUTO takes the difference to the empty scene if that is given, else the region by depth, else color around a pixel, and
    else an object alone in the picture.

    Args:
        frame: Frame that shows the object.
        source: Source to use.
        uv: Pixel on the object, e.g. a click or one point of another model.
        empty: The same scene from the same place without the object.
        before: Earlier frames of the same take, oldest first, for MOTION.

    Raises:
        InputError: The source needs what is not given.
        DependencyError: OpenCV is not installed.
    """
    if source is MaskSource.AUTO:
        source = _best(frame, uv, empty)
    if source is MaskSource.REGION:
        return mask_by_region(frame, uv)
    if source is MaskSource.DIFFERENCE:
        if empty is None:
            raise InputError("empty must be given for the difference", "no frame", "give a frame of the scene without the object")
        return mask_by_difference(frame, empty, uv)
    if source is MaskSource.MOTION:
        return mask_by_motion(frame, before, uv)
    if source is MaskSource.CLICK:
        if uv is None:
            raise InputError("uv must be given for a click", "no pixel", "give a pixel (u, v) on the object")
        return mask_by_click(frame.color, uv)
    if source is MaskSource.ALONE:
        return mask_of_photograph(frame.color)
    raise InputError("mask must be given for the source GIVEN", "no mask", "give a mask image, a polygon or a box")


def _best(frame: RgbdFrame, uv: tuple[float, float] | None, empty: RgbdFrame | None) -> MaskSource:
    if empty is not None:
        return MaskSource.DIFFERENCE
    if frame.depth_m is not None and frame.intrinsics is not None:
        return MaskSource.REGION
    return MaskSource.CLICK if uv is not None else MaskSource.ALONE
