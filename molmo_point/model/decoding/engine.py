"""Engine that answers questions about images with the fewest passes and the same tokens.

It remembers the keys and values of the last image, the last answer to each question, and the tokenizer's pieces.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from molmo_point.backend import Prompt
from molmo_point.errors import InputError
from molmo_point.model.decoding.decoder import Decoder, Row, Vocabulary
from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.spread import Spread, spread_points
from molmo_point.model.decoding.templates import ABSENT_STARTS, ExpectedAnswer
from molmo_point.model.inputs.device_crops import prepare_on_device
from molmo_point.model.inputs.image_input import to_rgb
from molmo_point.model.inputs.preprocess import ImageLayout, image_token_ids, prepare_image
from molmo_point.patch_features import PatchFeatures
from molmo_point.points.dialects.prompts import user_turn

_REMEMBERED_ANSWERS = 64


@dataclass(frozen=True)
class Options:
    """Speed-ups of the engine; every setting gives the same answers.

    Attributes:
        template: Draft the text that the answer format forces.
        fans: Draft all ten second digits of a number at once.
        last_answer: Draft the last answer to the same question.
        reuse_image: Keep the keys and values of the last image for further questions about it.
    """

    template: bool = True
    fans: bool = True
    last_answer: bool = True
    reuse_image: bool = True


@dataclass
class _Image:
    """An image: its tokens, and its tensors or, once it was read, its cache and the vision features of its overview."""

    pixels: np.ndarray
    layout: ImageLayout
    ids: list[int]
    tensors: dict[str, torch.Tensor] | None
    cache: KeyValueCache | None = None
    features: PatchFeatures | None = None


@dataclass
class Growing:
    """The answers of one call as far as they have grown.

    Attributes:
        rows: Tokens, probabilities, and counts of each answer.
        started: `time.perf_counter` at the start.
        prepared: The same when crops and tokens were ready.
        first_pass: The same after the first pass; 0 before.
        last_pass: The same after the last pass so far.
        image_reused: True if an earlier call had read the image.
        features: Vision features of the image; None before the first pass, and if the engine does not keep them.
    """

    rows: tuple[Row, ...]
    started: float
    prepared: float
    first_pass: float = 0.0
    last_pass: float = 0.0
    image_reused: bool = False
    features: PatchFeatures | None = None

    @property
    def timing_ms(self) -> dict[str, float]:
        """Milliseconds of the stages, shared by all answers of the call."""
        return {
            "preprocess": (self.prepared - self.started) * 1e3,
            "prefill": (self.first_pass - self.prepared) * 1e3,
            "decode": (self.last_pass - self.first_pass) * 1e3,
        }


class AnswerEngine:
    """Engine that answers questions about images with a `MolmoForCausalLM` in eval mode; it serves one call at a time."""

    def __init__(self, model: Any, processor: Any, options: Options | None = None) -> None:
        self.model = model
        self.processor = processor
        self.options = options or Options()
        self._token_text = lru_cache(65536)(lambda token: processor.decode([token]))
        self._pieces = lru_cache(8192)(lambda text: tuple(processor.encode_text(text)))
        absent = tuple(dict.fromkeys(processor.encode_text(start)[0] for start in ABSENT_STARTS))
        self._vocabulary = Vocabulary(
            processor.eos_id, tuple(processor.digit_ids), self._token_text, absent, processor.encode_text("1.")[-1]
        )
        self._image: _Image | None = None
        self._answers: OrderedDict[str, str] = OrderedDict()
        self._vision: torch.Tensor | None = None
        self.keeps_features = False
        model.model.vision_backbone.image_vit.register_forward_hook(self._see)

    def _see(self, module: Any, inputs: Any, features: torch.Tensor) -> None:
        """Keep the vision features of the overview, the first crop."""
        self._vision = features[0] if self.keeps_features else None

    def forget(self) -> None:
        """Drop the remembered image and answers."""
        self._image = None
        self._answers.clear()

    def answers(self, image: np.ndarray, prompts: Sequence[Prompt], max_new_tokens: int) -> Iterator["Growing"]:
        """Answer all prompts about an image (h, w, 3) uint8 RGB in one batch, and yield the same growing state after every pass.

        Raises:
            InputError: The image is not a usable RGB image, or a sequence would be too long.
        """
        started = time.perf_counter()
        read = self._look(image)
        reused = read.cache is not None
        rows = tuple(self._row(prompt, read, max_new_tokens) for prompt in prompts)
        prepared = time.perf_counter()
        state = Growing(rows, started, prepared, image_reused=reused)
        try:
            for _ in self._passes(rows, read):
                state.last_pass = time.perf_counter()
                state.first_pass = state.first_pass or state.last_pass
                state.features = state.features or self._features(read)
                yield state
        finally:
            read.tensors = None
            whole = read.cache is not None and read.cache.get_seq_length() >= len(read.ids)
            self._image = read if self.options.reuse_image and whole else None
            self._remember(prompts, rows)

    def complete(self, image: np.ndarray, prompts: Sequence[Prompt], max_new_tokens: int) -> "Growing":
        """Answer all prompts to their ends; arguments and errors as `answers`."""
        return deque(self.answers(image, prompts, max_new_tokens), maxlen=1).pop()

    def spreads(self, image: np.ndarray, prompt: Prompt, text: str) -> tuple[Spread, ...]:
        """Follow the likely branches of each point of an answer, three passes each; one `Spread` per pair of coordinates."""
        read = self._look(image)
        decoder = Decoder(self.model, self._vocabulary)
        prefix, tokens = len(read.ids), self.processor.encode_text(user_turn(prompt.text))
        answer = self.processor.encode_text(text)
        room = len(tokens) + len(answer) + 1024
        cache = _read_cache(decoder, read).forked(1, prefix, prefix + room)
        read.tensors = None
        self._image = read if self.options.reuse_image else None
        return spread_points(decoder, cache, tokens, answer)

    @torch.inference_mode()
    def features_of(self, image: np.ndarray) -> PatchFeatures:
        """Return the vision features of the overview of an image (h, w, 3) uint8 RGB; InputError if it is not usable."""
        image = to_rgb(image)
        tensors, _ = self._tensors(image, self.processor.layout)
        backbone = self.model.model.vision_backbone
        features = backbone.image_vit(tensors["images"][0, :1].to(backbone.pad_embed.dtype))[0]
        self._vision = None
        return PatchFeatures.of_overview(features.float().cpu().numpy(), (image.shape[1], image.shape[0]))

    def _features(self, read: _Image) -> PatchFeatures | None:
        """Return the vision features of an image that was read, if they are kept."""
        if read.features is None and self._vision is not None:
            height, width = read.pixels.shape[:2]
            read.features = PatchFeatures.of_overview(self._vision.float().cpu().numpy(), (width, height))
            self._vision = None
        return read.features

    def _look(self, image: np.ndarray) -> _Image:
        """Return the image as tokens and tensors, or as it was kept from the last call."""
        image, layout = to_rgb(image), self.processor.layout
        last = self._image
        # Compared with a copy: that is ten times faster than a digest, and a camera reuses its buffers.
        if last is not None and last.layout == layout and np.array_equal(last.pixels, image):
            return last
        self._image = None
        tensors, tiling = self._tensors(image, layout)
        ids = [self.processor.eos_id, *image_token_ids(tiling, layout, self.processor.image_ids).tolist()]
        return _Image(image.copy() if self.options.reuse_image else image, layout, ids, tensors)

    def _tensors(self, image: np.ndarray, layout: ImageLayout) -> tuple[dict[str, torch.Tensor], tuple[int, int]]:
        device = self.model.device
        if device.type != "cpu":
            return prepare_on_device(image, layout, device)
        prepared = prepare_image(image, layout)
        names = ("images", "image_masks", "image_input_idx")
        return {name: torch.from_numpy(getattr(prepared, name))[None] for name in names}, prepared.tiling

    def _row(self, prompt: Prompt, read: _Image, max_new_tokens: int) -> Row:
        tokens = self.processor.encode_text(user_turn(prompt.text))
        length, longest = len(read.ids) + len(tokens), self.model.config.max_position_embeddings
        if length >= longest:
            given = f"{length} tokens, of {longest} possible"
            raise InputError("image and words must fit into the model's context", given, "ask in fewer words")
        last = self._answers.get(prompt.text, "") if self.options.last_answer else ""
        expected, digits, options = ExpectedAnswer.to(prompt), self._vocabulary.digit_ids, self.options
        drafter = Drafter(self._pieces, self._token_text, expected, digits, last, options.fans, options.template)
        return Row(tokens, drafter, min(max_new_tokens, longest - length))

    def _passes(self, rows: Sequence[Row], read: _Image) -> Iterator[None]:
        """Read the image unless that is done, then decode all rows to their ends."""
        decoder = self._decoder(rows)
        prefix = len(read.ids)
        room = max(len(row.prompt) + row.max_new_tokens + (row.drafter.room if row.drafter else 0) for row in rows)
        if read.cache is None and len(rows) == 1:
            # One question, one pass: image and words are read together.
            read.cache = KeyValueCache(prefix + room)
            rows[0].prompt = [*read.ids, *rows[0].prompt]
            yield from decoder.run(rows, read.cache, read.tensors)
            return
        yield from decoder.run(rows, _read_cache(decoder, read).forked(len(rows), prefix, prefix + room))

    def _decoder(self, rows: Sequence[Row]) -> Decoder:
        return Decoder(self.model, self._vocabulary)

    def _remember(self, prompts: Sequence[Prompt], rows: Sequence[Row]) -> None:
        if not self.options.last_answer:
            return
        for prompt, row in zip(prompts, rows, strict=True):
            if row.finish_reason == "stop":
                self._answers[prompt.text] = self.processor.decode(row.token_ids)
                self._answers.move_to_end(prompt.text)
        while len(self._answers) > _REMEMBERED_ANSWERS:
            self._answers.popitem(last=False)


def _read_cache(decoder: Decoder, read: _Image) -> KeyValueCache:
    """Return the cache of an image, which is read into it unless that is done."""
    if read.cache is None:
        assert read.tensors is not None
        read.cache = KeyValueCache(len(read.ids))
        decoder.read(read.ids, read.cache, read.tensors)
    return read.cache
