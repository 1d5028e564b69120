"""What a training run depends on, and the learning rate that follows from it."""

import math
from dataclasses import asdict, dataclass

from lab.household.arrangement import MAX_OBJECTS
from lab.training.initial import SIZES
from lab.training.lesson import Lesson
from molmo_point.errors import InputError

_WARMUP_IMAGES = 800
_HELD_SHARE = 0.75  # of a phase at the peak rate, before it falls
_SEE_FLOOR, _POINT_FLOOR = 0.4, 0.05
REPLANNED = frozenset(
    ("see_images", "caption_images", "point_images", "questions", "see_rate", "point_rate", "auxiliary_share", "short_share",
     "few_until", "also", "also_share", "workers", "check_every")
)  # fmt: skip
"""Settings that a run may go on with changed, when asked to."""


@dataclass(frozen=True)
class TrainSettings:
    """What a run depends on; a fixed seed and the same shards give the same run.

    Attributes:
        see_images: Images of the first phase (vision alone, auxiliary losses).
        point_images: Images of the second phase (the whole model).
        batch: Images a step, over all workers. Small: from scratch the number of steps counts, and a
            step of 8 images teaches nearly as much as one of 32.
        questions: Questions an image.
        see_rate: Peak learning rate of the first phase.
        point_rate: Peak learning rate of the second phase.
        auxiliary_share: Share of the second phase during which auxiliary losses stay on.
        seed: Seed of weights, views and questions.
        workers: Processes that share a step, one core each; faster than threads at this size.
        check_every: Images between two checkpoints with validation.
        size: Name of a `lab.training.initial.SIZES`.
        start: Folder of a smaller checkpoint to grow from; empty starts from nothing.
        caption_images: Images of a phase between the two, in which the whole model describes scenes; 0 leaves it out.
        short_share: Share of the second phase's questions that want a word or a number.
        also: Folder of plain scenes to mix into household scenes; empty for none.
        also_share: Of the pictures, how many are plain then.
        few_until: Share of the second phase until which scenes with ever more things are let in; 0 takes all at once.
    """

    see_images: int = 16_800
    point_images: int = 60_000
    batch: int = 12
    questions: int = 5
    see_rate: float = 1e-3
    point_rate: float = 5e-4
    auxiliary_share: float = 1.0
    seed: int = 0
    workers: int = 2
    check_every: int = 2_400
    size: str = "small"
    start: str = ""
    caption_images: int = 0
    short_share: float = 0.0
    few_until: float = 0.0
    also: str = ""
    also_share: float = 0.25

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise InputError("There is no such model size", self.size, f"choose one of {', '.join(SIZES)}")
        for name in ("short_share", "few_until", "also_share", "auxiliary_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is a share", f"{getattr(self, name)}", "choose a number from 0 to 1")

    @property
    def total(self) -> int:
        """Images of all phases."""
        return self.see_images + self.caption_images + self.point_images

    def seeing(self, images_seen: int) -> bool:
        """Whether the run is in its first phase."""
        return images_seen < self.see_images

    def pointed(self, images_seen: int) -> float:
        """How far the phase of pointing is, 0…1; below 0 before it."""
        return (images_seen - self.see_images - self.caption_images) / max(self.point_images, 1)

    def lesson(self, images_seen: int) -> Lesson:
        """What the next step is about."""
        done = self.pointed(images_seen)
        if done < 0:
            return Lesson(captions=not self.seeing(images_seen))
        few = done < self.few_until
        most = 1 + int(done / self.few_until * (MAX_OBJECTS - 1)) if few else None
        return Lesson(short_share=self.short_share, most_things=most)

    def rate(self, images_seen: int) -> float:
        """Learning rate of the next step: it rises, holds, and falls in the last quarter of each phase."""
        seeing = self.seeing(images_seen)
        # Captions and pointing are one schedule: the same weights go on at the same rate.
        start, length = (0, self.see_images) if seeing else (self.see_images, self.caption_images + self.point_images)
        peak, floor = (self.see_rate, _SEE_FLOOR) if seeing else (self.point_rate, _POINT_FLOOR)
        done = images_seen - start
        warm = min(1.0, (done + self.batch) / _WARMUP_IMAGES)
        falling = (done / max(length, 1) - _HELD_SHARE) / (1 - _HELD_SHARE)
        wave = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, falling))))
        return peak * warm * (floor + (1 - floor) * wave)

    def differing(self, other: dict[str, object]) -> list[str]:
        """Names of the settings that are not as in ``other``, a saved run's."""
        mine = asdict(self)
        return sorted(name for name in mine if other.get(name, mine[name]) != mine[name])
