"""Masks of shown objects: sources, doubts, and typed refusals."""

import enum
from dataclasses import dataclass

from molmo_point.arrays import BoolArray


class MaskSource(str, enum.Enum):
    """Origin of a mask.

    AUTO: the best source for what is given.
    GIVEN: a mask image, a polygon or a box.
    REGION: depth, and the support below the object.
    DIFFERENCE: the difference to the empty scene.
    MOTION: motion against the static scene.
    CLICK: color around one point on the object.
    ALONE: an object alone in a picture, by color and structure.
    """

    AUTO = "AUTO"
    GIVEN = "GIVEN"
    REGION = "REGION"
    DIFFERENCE = "DIFFERENCE"
    MOTION = "MOTION"
    CLICK = "CLICK"
    ALONE = "ALONE"


class MaskDoubt(str, enum.Enum):
    """Reason for doubting a mask that was made.

    TOUCHING: a neighbor touches the object, and may be part of the mask.
    NO_SUPPORT: no support was found; the mask may hold part of it.
    FLAT: the object is too flat for its depth; color decided.
    OUTLINE_BY_DEPTH: the color does not show the outline; its rim is ignored.
    LOW_CONTRAST: the object hardly differs from its background.
    BOX: a box was given; color decided within it.
    """

    TOUCHING = "TOUCHING"
    NO_SUPPORT = "NO_SUPPORT"
    FLAT = "FLAT"
    OUTLINE_BY_DEPTH = "OUTLINE_BY_DEPTH"
    LOW_CONTRAST = "LOW_CONTRAST"
    BOX = "BOX"


class ViewRefusal(str, enum.Enum):
    """Reason for refusing a view of an object.

    NO_OBJECT: nothing to be taught is seen.
    SEVERAL_OBJECTS: two or more objects are seen, and none was chosen.
    UNCLEAR: the object cannot be told from its background; a click, a mask or another background helps.
    SCENE_CHANGED: camera or light changed since the empty scene was seen.
    CUT_OFF: the border of the image cuts the object.
    TOO_SMALL: the object has too few pixels.
    TOO_LARGE: the mask covers most of the image, so it holds more than the object, or the object is too near.
    TOO_DARK: the object is nearly black.
    OVER_EXPOSED: the object is nearly white by too much light.
    BLURRED: no edge of the object is sharp.
    MOVED: edges are sharp in one direction only: something moved during the exposure.
    SAME_VIEW: an earlier view shows the same.
    """

    NO_OBJECT = "NO_OBJECT"
    SEVERAL_OBJECTS = "SEVERAL_OBJECTS"
    UNCLEAR = "UNCLEAR"
    SCENE_CHANGED = "SCENE_CHANGED"
    CUT_OFF = "CUT_OFF"
    TOO_SMALL = "TOO_SMALL"
    TOO_LARGE = "TOO_LARGE"
    TOO_DARK = "TOO_DARK"
    OVER_EXPOSED = "OVER_EXPOSED"
    BLURRED = "BLURRED"
    MOVED = "MOVED"
    SAME_VIEW = "SAME_VIEW"


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """Pixels of an object in one image.

    Attributes:
        mask: Pixels of the object (h, w).
        ignored: Pixels (h, w) that may or may not show the object: its uncertain rim. Disjoint from `mask`.
        source: Origin of the mask.
        doubts: Reasons for doubting it, most serious first.
    """

    mask: BoolArray
    ignored: BoolArray
    source: MaskSource
    doubts: tuple[MaskDoubt, ...] = ()


@dataclass(frozen=True)
class NoMask:
    """Refusal of an image: no mask can be made, or none may be guessed.

    Attributes:
        refusal: The reason.
        message: One plain sentence for people.
        places: Pixels (u, v) of the objects that are seen, largest first; empty without any.
    """

    refusal: ViewRefusal
    message: str
    places: tuple[tuple[float, float], ...] = ()
