"""Settings of training from nothing, and the learning rate that follows from them."""

import math
from typing import ClassVar, Literal

from pydantic import model_validator

from lab.household.arrangement import MAX_OBJECTS
from lab.training.lesson import Lesson
from molmo_point.finetuning.run_settings import Amount, AtLeastOne, RunSettings, Share, Whole

_WARMUP_IMAGES = 800
_HELD_SHARE = 0.75  # of a phase at the peak rate, before it falls
_SEE_FLOOR, _POINT_FLOOR = 0.4, 0.05


class PretrainSettings(RunSettings):
    """A run from nothing: first the image encoder learns to see, then the whole model to describe and to point."""

    changeable: ClassVar[frozenset[str]] = RunSettings.changeable | {"scenes"}
    replannable: ClassVar[frozenset[str]] = frozenset(
        ("see_images", "caption_images", "point_images", "questions", "see_rate", "point_rate", "auxiliary_share",
         "short_share", "few_until", "also", "also_share", "workers")
    )  # fmt: skip

    scenes: str
    """Folder of rendered shards."""
    see_images: Whole = 16_800
    """Images on which the image encoder alone learns to see."""
    caption_images: Whole = 0
    """Images that the whole model then describes."""
    point_images: Whole = 60_000
    """Images about which it is asked to point, count and deny."""
    # A small batch: from nothing the number of steps counts, and a step of 8 images teaches nearly as much as one of 32.
    batch: AtLeastOne = 12
    """Images a step, over all workers."""
    questions: AtLeastOne = 5
    """Questions about an image."""
    see_rate: Amount = 1e-3
    """Peak learning rate of seeing."""
    point_rate: Amount = 5e-4
    """Peak learning rate of describing and pointing."""
    auxiliary_share: Share = 1.0
    """Share of the pointing with auxiliary losses."""
    short_share: Share = 0.0
    """Share of the questions that want a word or a number."""
    few_until: Share = 0.0
    """Share of the pointing until which scenes with more and more objects are let in; 0 takes all at once."""
    workers: AtLeastOne = 2
    """Processes that share a step, one core each; faster than threads at this size."""
    check_every: AtLeastOne = 2_400
    """Images between two checkpoints with validation."""
    size: Literal["small", "medium"] = "small"
    """Size of the model: small or medium."""
    start: str = ""
    """Folder of a smaller or equal checkpoint to grow from; empty starts from nothing. Of equal width, it keeps its tokenizer."""
    stem: str = ""
    """Frozen feature network in front of three vision blocks, e.g. lite0; empty for none."""
    head_images: Whole = 0
    """Images at the start on which the auxiliary read-outs alone learn, so that they disturb no trained model."""
    coordinate_weight: Amount = 1.0
    """Weight of a character of a coordinate among the tokens of an answer."""
    distance_weight: Amount = 0.0
    """Weight of the expected distance of a coordinate's tens and ones, per percent of the picture."""
    also: str = ""
    """Folder of plain scenes to mix into household scenes; empty for none."""
    also_share: Share = 0.25
    """Share of plain pictures in the mixture."""

    @model_validator(mode="after")
    def _check_workers(self) -> "PretrainSettings":
        if self.batch % self.workers:
            raise ValueError(f"batch = {self.batch} must be a multiple of workers = {self.workers}")
        return self

    @property
    def total_steps(self) -> int:
        """Optimizer steps of all phases."""
        return math.ceil((self.see_images + self.caption_images + self.point_images) / self.batch)

    def phase(self, images_seen: int) -> Literal["see", "caption", "point"]:
        """Return the phase of the step after so many images."""
        if images_seen < self.see_images:
            return "see"
        return "caption" if self.pointed(images_seen) < 0 else "point"

    def pointed(self, images_seen: int) -> float:
        """Return the progress of the phase of pointing, 0 to 1; below 0 before it."""
        return (images_seen - self.see_images - self.caption_images) / max(self.point_images, 1)

    def lesson(self, images_seen: int) -> Lesson:
        """Return the subject of the step after so many images."""
        done = self.pointed(images_seen)
        if done < 0:
            return Lesson(captions=self.phase(images_seen) == "caption")
        most = 1 + int(done / self.few_until * (MAX_OBJECTS - 1)) if done < self.few_until else None
        return Lesson(short_share=self.short_share, most_objects=most)

    def rate(self, images_seen: int) -> float:
        """Return the learning rate after so many images: it rises, holds, and falls in the last quarter of each phase."""
        seeing = self.phase(images_seen) == "see"
        # Captions and pointing are one schedule: the same weights go on at the same rate.
        start, length = (0, self.see_images) if seeing else (self.see_images, self.caption_images + self.point_images)
        peak, floor = (self.see_rate, _SEE_FLOOR) if seeing else (self.point_rate, _POINT_FLOOR)
        done = images_seen - start
        warm = min(1.0, (done + self.batch) / _WARMUP_IMAGES)
        falling = (done / max(length, 1) - _HELD_SHARE) / (1 - _HELD_SHARE)
        wave = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, falling))))
        return peak * warm * (floor + (1 - floor) * wave)
