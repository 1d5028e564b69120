"""The stages of an answer, one by one: ours and the naive reference's, ready to be timed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.decoding.floor import connector_work, language_work, vision_work
from benchmarks.decoding.naive import NaiveMolmo
from benchmarks.decoding.naive_image import official_prepare
from benchmarks.decoding.paths import sequence
from benchmarks.decoding.subject import Subject
from molmo_point.backend import Prompt
from molmo_point.model.decoding.decoder import Decoder, Vocabulary
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.token_tree import TokenTree
from molmo_point.model.inputs.preprocess import ImageLayout, prepare_image

WIDTHS = (1, 4, 16, 64)


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: What it is.
        ours: Runs it once.
        naive: Runs the naive reference's once; None where there is none.
        work: Bytes and operations that are needed; None where no floor is told.
    """

    name: str
    ours: Callable[[], Any]
    naive: Callable[[], Any] | None = None
    work: tuple[float, float] | None = None


def preprocessing_stage(image: np.ndarray, layout: ImageLayout, name: str) -> Stage:
    """Crops of an image: ours against the official recipe."""
    return Stage(name, lambda: prepare_image(image, layout), lambda: official_prepare(image, layout))


@torch.inference_mode()
def model_stages(subject: Subject, image: np.ndarray, prompt: Prompt) -> list[Stage]:
    """Vision, connector, prefill and decode passes of several widths."""
    model, naive = subject.model, NaiveMolmo(subject.model)
    backbone = model.model.vision_backbone
    ids, tensors = sequence(subject, image, prompt)
    pixels, masks = tensors["images"].flatten(0, 1), tensors["image_masks"].flatten(0, 1)
    places, keep = tensors["image_input_idx"], tensors["image_input_idx"].flatten(0, 1) >= 0
    features = backbone.encode(pixels, masks)
    embedded = model.model.embed(torch.tensor([ids], device=subject.device), *tensors.values())
    crops, used = len(pixels), int(keep.sum())

    def naive_prefill() -> Any:
        naive.reset()
        return naive.model.model.transformer["ff_out"](naive.decode(embedded)[:, -1])

    stages = [
        Stage(
            f"vision, {crops} crop{'s' if crops > 1 else ''}",
            _quiet(lambda: backbone.encode(pixels, masks)),
            _quiet(lambda: naive.features(tensors)),
            vision_work(model, crops),
        ),
        Stage(
            f"connector, {used} of {keep.numel()} tokens used",
            _quiet(lambda: backbone.image_projector(backbone.pool(features)[keep])),
            _quiet(lambda: naive.image_vectors(features, places)),
            connector_work(model, crops, used),
        ),
        Stage(
            f"prefill, {len(ids)} tokens",
            _quiet(lambda: _prefill(model, embedded)),
            _quiet(naive_prefill),
            language_work(model, len(ids), 0),
        ),
    ]
    return [*stages, *_passes(subject, embedded, ids)]


def _passes(subject: Subject, embedded: torch.Tensor, ids: list[int]) -> list[Stage]:
    model, eos, length = subject.model, subject.processor.eos_id, len(ids)
    decoder = Decoder(model, Vocabulary(eos, (), str))
    cache = KeyValueCache(length + max(WIDTHS) + 1)
    _prefill(model, embedded, cache)
    cache.accept([range(length)])
    naive = NaiveMolmo(model)
    naive.decode(embedded)
    step = torch.tensor([[eos]], device=subject.device)

    def naive_step() -> Any:
        # Each step as if it were the first: what the last one added is taken off again.
        past, held = list(naive._past), naive._length
        out = naive.logits(step)
        naive._past, naive._length = past, held
        return out

    stages = []
    for width in WIDTHS:
        tree = TokenTree()
        tree.add([eos] * (width - 1))
        work = language_work(model, width, length)
        run = _quiet(lambda tree=tree: decoder.logits([[eos]], [tree], cache))
        stages.append(Stage(f"decode pass, width {width}", run, _quiet(naive_step) if width == 1 else None, work))
    return stages


def _prefill(model: Any, embedded: torch.Tensor, cache: KeyValueCache | None = None) -> torch.Tensor:
    cache = cache or KeyValueCache(embedded.shape[1])
    place = torch.arange(embedded.shape[1], device=embedded.device)[None]
    hidden = model.model(embedded, None, place, cache)
    return model.model.transformer["ff_out"](hidden[:, -1])


def _quiet(work: Callable[[], Any]) -> Callable[[], Any]:
    """The work without gradients, wherever it is called."""

    def run() -> Any:
        with torch.inference_mode():
            return work()

    return run
