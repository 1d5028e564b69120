"""`TaughtBackend`: a library of taught objects as a model that answers in Molmo's text."""

import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from molmo_point.arrays import ColorArray
from molmo_point.backend import Limits, PointSpread, Prompt, WholeAnswerBackend
from molmo_point.cautions import Caution, CautionKind
from molmo_point.model.taught.feature_network import FeatureNetwork
from molmo_point.model.taught.library import Library, listed_names
from molmo_point.model.taught.places import Place, Places, find_places
from molmo_point.model.taught.seen_image import SeenImage, see_image
from molmo_point.model.taught.taught_object import TaughtObject
from molmo_point.patch_features import PatchFeatures
from molmo_point.request import Kind
from molmo_point.results import Completion, PointMode, StatedPoint, StatedQuality
from molmo_point.trust.confidence_calibration import Calibration, line
from molmo_point.trust.trained_words import TrainedWords
from molmo_point.trust.training_description import TrainingDescription

_ABSENT = " There are none."
_IMAGES_KEPT = 4
_LEAST_WEIGHT = 0.02
_LEAST_FAMILIARITY = 0.01
_CALIBRATION = Calibration(
    confidence=line("digit", 1.0, 0.0),
    absent=line("absent", 1.0, 0.0),
    count=line("weakest", 1.0, 0.0),
    stated_under=frozenset({CautionKind.CONFUSABLE}),
)
"""The heads are calibrated themselves, so their probabilities stay as they are."""


@dataclass(frozen=True)
class TaughtWords(TrainedWords):
    """Words that a library of taught objects knows, and those of the model below it.

    Attributes:
        library: The library.
        below: Words of the model below; None without one.
    """

    library: Library = field(default_factory=Library.empty, compare=False)
    below: TrainedWords | None = None

    @classmethod
    def of(cls, library: Library, below: TrainedWords | None = None) -> "TaughtWords":
        """Describe a library; with words of a model below, their check also suggests taught objects."""
        return cls({"taught objects": library.names}, library=library, below=below)

    def names(self, words: str) -> str:
        """Return the words for the model below, or else as they are: owners are part of a taught name."""
        return words if self.below is None else self.below.names(words)

    def check(self, words: str, model: str) -> Caution | None:
        """Check the words of a query; None if the library or the model below knows them."""
        if self.library.named(words):
            return None
        found = None if self.below is None else self.below.check(words, model)
        if self.below is not None and found is None:
            return None
        names = self.library.names
        taught = f"taught objects are {listed_names(names)}" if names else "no object is taught"
        near = self.library.suggestion(words)
        if found is None:
            return Caution(CautionKind.UNKNOWN_WORDS, f"{words!r} is not taught; {taught}", (words,), near)
        return Caution(found.kind, f"{found.message}; {taught}", found.words, near or found.suggestion)


@dataclass(frozen=True)
class _Answered:
    """A place that an answer points at, with the object that it shows, and its coordinates as written."""

    name: str
    place: Place
    written: tuple[str, str]


class TaughtBackend(WholeAnswerBackend):
    """A library of taught objects as a model.

    Args:
        library: The library.
        network: Its feature network; None loads it.

    Attributes:
        library: The library.
    """

    tells_spread = True
    calibration = _CALIBRATION

    def __init__(self, library: Library, network: FeatureNetwork | None = None) -> None:
        self.library = library
        self.name = f"taught:{library.title}" if library.title else "taught"
        # A label may say less or more than the query, as with a category. The backend only writes names that were meant.
        self.training = TrainingDescription(
            vocabulary=TaughtWords.of(library), abilities=frozenset({Kind.POINT, Kind.COUNT}), label_limit=1.0
        )
        self._images = _SeenImages(library.load_network() if network is None else network)

    def with_library(self, library: Library) -> "TaughtBackend":
        """Return a backend of another library; it shares what was computed of images if the features are the same."""
        if library.features != self.library.features:
            return TaughtBackend(library)
        fresh = TaughtBackend(library, self._images.network)
        fresh._images = self._images
        return fresh

    def answer(self, image: ColorArray, prompt: Prompt, limits: Limits) -> Completion:
        """Point at the objects that a prompt names; arguments as `Backend.answers`."""
        start = time.perf_counter()
        seen = self._images.see(image)
        looked = time.perf_counter()
        named = self.library.named(prompt.asked or prompt.words)
        found = {each.name: find_places(seen, self.library.heads, each.name) for each in named}
        places = _answered(found, seen.size_wh)
        timing_ms = {"vision": (looked - start) * 1e3, "heads": (time.perf_counter() - looked) * 1e3}
        return Completion(
            text=_text(places, prompt.kind),
            token_count=0,
            finish_reason="stop",
            timing_ms=timing_ms,
            absent_probability=_absent_probability(found),
            features=seen.grids[0],
            stated=_quality(places, found, named),
        )

    def image_features(self, image: ColorArray) -> PatchFeatures:
        """Return the features of an image; arguments and errors as `Backend.image_features`."""
        return self._images.see(image).grids[0]

    def spreads(self, image: ColorArray, prompt: Prompt, completion: Completion) -> tuple[PointSpread, ...]:
        """Tell the distribution of each point: its place, and the places of its object that the answer left out."""
        seen = self._images.see(image)
        named = self.library.named(prompt.asked or prompt.words)
        found = {each.name: find_places(seen, self.library.heads, each.name) for each in named}
        spreads = []
        for each in _answered(found, seen.size_wh):
            others = [place for place in found[each.name].places[found[each.name].count :] if place.probability >= _LEAST_WEIGHT]
            spreads.append(PointSpread(each.written, _modes([each.place, *others])))
        return tuple(spreads)


class _SeenImages:
    """Features of the last few images, so that several questions about one image cost one pass of the network."""

    def __init__(self, network: FeatureNetwork) -> None:
        self.network = network
        self._kept: OrderedDict[int, tuple[ColorArray, SeenImage]] = OrderedDict()
        self._count = 0

    def see(self, image: ColorArray) -> SeenImage:
        """Return the features of an image (h, w, 3) uint8 RGB."""
        for number, (known, seen) in reversed(list(self._kept.items())):
            if known.shape == image.shape and np.array_equal(known, image):
                self._kept.move_to_end(number)
                return seen
        seen = see_image(image, self.network)
        self._count += 1
        self._kept[self._count] = (image.copy(), seen)
        while len(self._kept) > _IMAGES_KEPT:
            self._kept.popitem(last=False)
        return seen


def _answered(found: Mapping[str, Places], size_wh: tuple[int, int]) -> tuple[_Answered, ...]:
    """Return the places to point at, likeliest first, each with coordinates of its own."""
    pairs = [(name, place) for name, places in found.items() for place in places.places[: places.count]]
    pairs.sort(key=lambda pair: -pair[1].probability)
    answered: dict[tuple[str, str], _Answered] = {}
    for name, place in pairs:
        percent = ((place.u + 0.5) / size_wh[0] * 100, (place.v + 0.5) / size_wh[1] * 100)
        x, y = (f"{min(max(value, 0.0), 100.0):.1f}" for value in percent)
        answered.setdefault((x, y), _Answered(name, place, (x, y)))
    return tuple(answered.values())


def _text(places: Sequence[_Answered], kind: Kind) -> str:
    """Write an answer as Molmo does; each object has a tag of its own, with the likeliest point first."""
    if not places:
        return _ABSENT
    by_name: dict[str, list[_Answered]] = {}
    for each in places:
        by_name.setdefault(each.name, []).append(each)
    tags = " ".join(_tag(name, points) for name, points in by_name.items())
    return f" Counting the {tags} shows a total of {len(places)}." if kind is Kind.COUNT else f" {tags}"


def _tag(name: str, points: Sequence[_Answered]) -> str:
    if len(points) == 1:
        x, y = points[0].written
        return f'<point x="{x}" y="{y}" alt="{name}">{name}</point>'
    coordinates = " ".join(f'x{k}="{p.written[0]}" y{k}="{p.written[1]}"' for k, p in enumerate(points, 1))
    return f'<points {coordinates} alt="{name}">{name}</points>'


def _absent_probability(found: Mapping[str, Places]) -> float:
    """Return the probability that none of several objects is in the image; NaN without any."""
    return float(np.prod([places.absent_probability for places in found.values()])) if found else float("nan")


def _quality(answered: Sequence[_Answered], found: Mapping[str, Places], named: Sequence[TaughtObject]) -> StatedQuality:
    points = tuple(StatedPoint(each.written, each.place.probability, each.place.sigma_px) for each in answered)
    left_out = [place.probability for places in found.values() for place in places.places[places.count :]]
    right = float(np.prod([point.probability for point in points]) * np.prod(1 - np.array(left_out)))
    cautions = (*_unfamiliar(found), *_confusions(answered, {each.name for each in named}))
    return StatedQuality(points, right, cautions)


def _unfamiliar(found: Mapping[str, Places]) -> tuple[Caution, ...]:
    """Return the caution about an image that is unlike all those that were taught; where that is unknown, there is none."""
    familiarity = min((places.familiarity for places in found.values()), default=math.nan)
    if not familiarity < _LEAST_FAMILIARITY:
        return ()
    message = "the image is unlike those that the objects were taught in; teach a view in this light and place"
    return (Caution(CautionKind.UNFAMILIAR_IMAGE, message),)


def _confusions(answered: Sequence[_Answered], meant: set[str]) -> tuple[Caution, ...]:
    """Return the caution about a place that another taught object, which was not meant, explains nearly as well."""
    doubtful = next((each for each in answered if each.place.rival and each.place.rival not in meant), None)
    if doubtful is None:
        return ()
    place = doubtful.place
    message = (
        f"{doubtful.name!r} at ({place.u:.0f}, {place.v:.0f}) looks like {place.rival!r} "
        f"({place.probability:.0%} against {place.rival_probability:.0%}); show both side by side"
    )
    return (Caution(CautionKind.CONFUSABLE, message, (place.rival,)),)


def _modes(places: Sequence[Place]) -> tuple[PointMode, ...]:
    total = sum(place.probability for place in places) or 1.0
    return tuple(
        PointMode(place.probability / total, place.u, place.v, np.eye(2) * place.sigma_px**2)
        for place in sorted(places, key=lambda place: -place.probability)
    )
