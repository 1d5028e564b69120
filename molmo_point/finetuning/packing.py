"""Several questions about one image in one sequence, each blind to the others.

The official scheme: image and BOS belong to segment 10000, question k to segment k (from 1). A
token sees what stands before it in a segment at least its own, so every question sees the image
and itself; positions of every question start again right after the image.
"""

import re
from dataclasses import dataclass

import numpy as np
import torch

from molmo_point.finetuning.queries import Example
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import image_token_ids
from molmo_point.points.dialects.prompts import user_turn

IMAGE_SEGMENT = 10_000
_COORDINATE = re.compile(r'[xy]\d*="([\d.]+)"')


@dataclass(frozen=True)
class PackedRow:
    """One image with its questions; all arrays (length,) unless said otherwise.

    Attributes:
        input_ids: Token ids.
        segments: 10000 for BOS and image, k for question k.
        position_ids: Positions, restarting for every question.
        labels: Next token to predict at each place, −100 where there is no loss.
        weights: Loss weight at each place, 0 where there is no loss.
        coordinates: (places, 5) int: place that predicts a character of a coordinate; object
            pointed at; axis (0 = x, 1 = y); value in tenths of a per cent; character index.
        looks: (n, 2) int: place at which an answer begins, and an object it will point at. Whether
            anything is there is decided at that place, so it must have looked.
        mentions: (n, 2) int: place of the last token of words that name something, and an object they fit.
    """

    input_ids: np.ndarray
    segments: np.ndarray
    position_ids: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    coordinates: np.ndarray
    looks: np.ndarray
    mentions: np.ndarray


def pack_examples(processor: MolmoProcessor, tiling: tuple[int, int], examples: list[Example]) -> PackedRow:
    """Packs the questions about one image.

    Args:
        processor: Tokenizer and image layout.
        tiling: Crop tiling of the image; (0, 0) for the overview alone.
        examples: The questions.
    """
    image = image_token_ids(tiling, processor.layout, processor.image_ids)
    ids = [processor.eos_id, *image.tolist()]
    start = len(ids)
    segments, positions = [IMAGE_SEGMENT] * start, list(range(start))
    targets = [-100] * start
    coordinates: list[tuple[int, int, int, int, int]] = []
    looks: list[tuple[int, int]] = []
    mentions: list[tuple[int, int]] = []
    weight = 1.0 / np.sqrt(max(len(examples), 1))
    for number, example in enumerate(examples, start=1):
        prompt = processor.encode_text(user_turn(example.prompt))
        answer, spots = _encode_answer(processor, example)
        # The place before a token predicts it: hence the −1, and EOS as the last target.
        first = len(ids) + len(prompt) - 1
        coordinates += [(first + at, target, axis, value, place) for at, target, axis, value, place in spots]
        looks += [(first, target) for target in example.targets]
        mentions += [(len(ids) + at, target) for at, target in _mentioned(processor, example)]
        ids += [*prompt, *answer]
        targets += [-100] * (len(prompt) - 1) + [*answer, processor.eos_id]
        # The official collator feeds the end token, too, except behind the last question: nothing with a
        # loss sees it.
        end = int(number < len(examples))
        ids += [processor.eos_id] * end
        targets += [-100] * end
        segments += [number] * (len(prompt) + len(answer) + end)
        positions += list(range(start, start + len(prompt) + len(answer) + end))
    labels = np.array(targets)
    return PackedRow(
        input_ids=np.array(ids),
        segments=np.array(segments),
        position_ids=np.array(positions),
        labels=labels,
        weights=np.where(labels >= 0, weight, 0.0).astype(np.float32),
        coordinates=np.array(coordinates, np.int64).reshape(-1, 5),
        looks=np.array(looks, np.int64).reshape(-1, 2),
        mentions=np.array(mentions, np.int64).reshape(-1, 2),
    )


def segment_mask(segments: torch.Tensor) -> torch.Tensor:
    """Who may attend to whom, (batch, 1, length, length) bool.

    Args:
        segments: (batch, length); 0 marks padding, which sees only what stands before it and is
            seen by nothing real.
    """
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (causal & (segments[:, :, None] <= segments[:, None, :]))[:, None]


def _encode_answer(processor: MolmoProcessor, example: Example) -> tuple[list[int], list[tuple[int, int, int, int, int]]]:
    """Token ids of the answer, and which of them are characters of coordinates."""
    text = f" {example.answer}"
    if not example.targets:  # nothing of known place is pointed at; words of files are never special tokens
        return processor.encode_text(text), []
    encoded = processor.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    at_character = {start: k for k, (start, _) in enumerate(encoded["offset_mapping"])}
    spots = []
    for order, match in enumerate(_COORDINATE.finditer(text)):
        target, axis = example.targets[order // 2], order % 2
        value = round(float(match.group(1)) * 10)
        for character, place in enumerate(range(match.start(1), match.end(1))):
            spots.append((at_character[place], target, axis, value, character))
    return list(encoded["input_ids"]), spots


def _mentioned(processor: MolmoProcessor, example: Example) -> list[tuple[int, int]]:
    """Number of the prompt token that ends each mention, with each object that it fits."""
    if not example.mentions:
        return []
    text = user_turn(example.prompt)
    offsets = processor.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    found = []
    for words, indices in example.mentions:
        end = text.rindex(words) + len(words)
        place = next(k for k, (_, stop) in enumerate(offsets) if stop >= end)
        found += [(place, index) for index in indices]
    return found
