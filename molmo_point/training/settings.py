"""What a training run depends on, and the learning rate that follows from it."""

import math
from dataclasses import asdict, dataclass

from molmo_point.errors import InputError
from molmo_point.training.initial import SIZES

_WARMUP_IMAGES = 800
_HELD_SHARE = 0.75  # of a phase at the peak rate, before it falls
_SEE_FLOOR, _POINT_FLOOR = 0.4, 0.05
REPLANNED = frozenset(
    {"see_images", "point_images", "questions", "see_rate", "point_rate", "auxiliary_share", "workers", "check_every"}
)
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
        size: Name of a `molmo_point.training.initial.SIZES`.
        start: Folder of a smaller checkpoint to grow from; empty starts from nothing.
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

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise InputError("There is no such model size", self.size, f"choose one of {', '.join(SIZES)}")

    @property
    def total(self) -> int:
        """Images of both phases."""
        return self.see_images + self.point_images

    def seeing(self, images_seen: int) -> bool:
        """Whether the run is in its first phase."""
        return images_seen < self.see_images

    def rate(self, images_seen: int) -> float:
        """Learning rate of the next step: it rises, holds, and falls in the last quarter of each phase."""
        seeing = self.seeing(images_seen)
        start, length = (0, self.see_images) if seeing else (self.see_images, self.point_images)
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
