"""Questions about an image, answered with as little work as gives the same words.

Three things are remembered between calls, and none of them changes an answer: the image that was
read last (its keys and values serve every further question about it), the last answer to each
question (verified as a draft on the next image), and the tokenizer's pieces.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from molmo_point.errors import InputError
from molmo_point.model.decoding.decoder import Decoder, Row, Vocabulary
from molmo_point.model.decoding.drafts import Drafter
from molmo_point.model.decoding.kv_cache import KeyValueCache
from molmo_point.model.decoding.spread import Spread, spread_points
from molmo_point.model.decoding.templates import ABSENT_STARTS, request_of
from molmo_point.model.inputs.device_crops import prepare_on_device
from molmo_point.model.inputs.image_input import to_rgb
from molmo_point.model.inputs.preprocess import ImageLayout, image_token_ids, prepare_image
from molmo_point.points.dialects.prompts import user_turn

_REMEMBERED_ANSWERS = 64
_TREE_LIMIT = 64


@dataclass(frozen=True)
class Options:
    """What the engine may do; every setting gives the same answers.

    Attributes:
        template: Draft what the answer format forces.
        fans: Draft all ten second digits of a number at once.
        last_answer: Draft the last answer to the same question.
        reuse_image: Keep what was read of the last image for further questions about it.
    """

    template: bool = True
    fans: bool = True
    last_answer: bool = True
    reuse_image: bool = True


@dataclass(frozen=True)
class Answer:
    """One answer and what it took.

    Attributes:
        row: Tokens, probabilities and counts.
        preprocess_ms: Making crops and tokens; shared by all questions of a call.
        prefill_ms: Until the first pass was done; shared.
        decode_ms: All further passes; shared.
        image_reused: Whether the image had been read by an earlier call.
    """

    row: Row
    preprocess_ms: float
    prefill_ms: float
    decode_ms: float
    image_reused: bool


@dataclass
class _Image:
    """An image that was or will be read: its tokens, and its tensors or the cache that replaces them."""

    pixels: np.ndarray
    layout: ImageLayout
    ids: list[int]
    tensors: dict[str, torch.Tensor] | None
    cache: KeyValueCache | None = None


class AnswerEngine:
    """Answers questions about images with one model.

    One call at a time: what is remembered belongs to one thread, or to callers that take turns.

    Args:
        model: `MolmoForCausalLM`, in eval mode.
        processor: Its tokenizer and image settings.
        options: What it may do.
    """

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

    def forget(self) -> None:
        """Drops the remembered image and answers."""
        self._image = None
        self._answers.clear()

    def answer(
        self,
        image: np.ndarray,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[int, str], None] | None = None,
    ) -> tuple[Answer, ...]:
        """Answers all prompts about one image, in one batch.

        Args:
            image: (h, w, 3) uint8 RGB.
            prompts: What the user says, each a turn of its own.
            max_new_tokens: Most tokens of each answer.
            should_stop: Asked before every pass; True ends all answers as ``"cancelled"``.
            on_text: Told the index of a prompt and its answer so far whenever that has grown.

        Raises:
            InputError: The image is not a usable RGB image, or a sequence would be too long.
        """
        started = time.perf_counter()
        read = self._look(image)
        reused = read.cache is not None
        rows = [self._row(index, prompt, read, max_new_tokens, on_text) for index, prompt in enumerate(prompts)]
        prepared = time.perf_counter()
        decoder = Decoder(self.model, self._vocabulary, should_stop)
        prefilled = self._decode(decoder, rows, read)
        finished = time.perf_counter()
        self._remember(prompts, rows)
        times = ((prepared - started) * 1e3, (prefilled - prepared) * 1e3, (finished - prefilled) * 1e3)
        return tuple(Answer(row, *times, reused) for row in rows)

    def spreads(self, image: np.ndarray, prompt: str, text: str) -> tuple[Spread, ...]:
        """How the probability of each point of an answer is spread, three passes a point.

        Args:
            image: The image of the answer.
            prompt: Its prompt.
            text: The answer.

        Returns:
            One for each pair of coordinates in the order of the text.
        """
        read = self._look(image)
        decoder = Decoder(self.model, self._vocabulary)
        prefix, tokens = len(read.ids), self.processor.encode_text(user_turn(prompt))
        answer = self.processor.encode_text(text)
        room = len(tokens) + len(answer) + 1024
        if read.cache is None:
            assert read.tensors is not None
            read.cache = KeyValueCache(prefix)
            decoder.read(read.ids, read.cache, read.tensors)
            read.tensors = None
            self._image = read if self.options.reuse_image else None
        return spread_points(decoder, read.cache.forked(1, prefix, prefix + room), tokens, answer)

    def _look(self, image: np.ndarray) -> _Image:
        """The image as tokens and tensors, or what is left of it from the last call."""
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

    def _row(self, index: int, prompt: str, read: _Image, max_new_tokens: int, on_text: Callable[[int, str], None] | None) -> Row:
        tokens = self.processor.encode_text(user_turn(prompt))
        length, longest = len(read.ids) + len(tokens), self.model.config.max_position_embeddings
        if length >= longest:
            raise InputError(
                "Image and words together are longer than the model can read",
                f"{length} tokens, of {longest} possible",
                "ask in fewer words",
            )
        last = self._answers.get(prompt, "") if self.options.last_answer else ""
        drafter = Drafter(
            self._pieces,
            self._token_text,
            request_of(prompt),
            self._vocabulary.digit_ids,
            last,
            fans=self.options.fans,
            template=self.options.template,
            limit=_TREE_LIMIT,
        )

        def on_pass(row: Row) -> None:
            if on_text is not None:
                on_text(index, self.processor.decode(row.token_ids))

        return Row(tokens, drafter, min(max_new_tokens, longest - length), on_pass=on_pass)

    def _decode(self, decoder: Decoder, rows: list[Row], read: _Image) -> float:
        """Reads the image unless that is done, then all rows to their ends; the time of the first pass."""
        prefix = len(read.ids)
        room = max(len(row.prompt) + row.max_new_tokens + (row.drafter.room if row.drafter else 0) for row in rows)
        if read.cache is None and len(rows) == 1:
            # One question, one pass: image and words are read together.
            cache = KeyValueCache(prefix + room)
            rows[0].prompt = [*read.ids, *rows[0].prompt]
            done = decoder.run(rows, cache, read.tensors)
            read.cache = cache
        else:
            if read.cache is None:
                assert read.tensors is not None
                read.cache = KeyValueCache(prefix)
                decoder.read(read.ids, read.cache, read.tensors)
            cache = read.cache.forked(len(rows), prefix, prefix + room)
            done = decoder.run(rows, cache)
        read.tensors = None
        # A cancelled first pass may have read nothing.
        self._image = read if self.options.reuse_image and read.cache.get_seq_length() >= prefix else None
        return done

    def _remember(self, prompts: Sequence[str], rows: Sequence[Row]) -> None:
        if not self.options.last_answer:
            return
        for prompt, row in zip(prompts, rows, strict=True):
            if row.finish_reason == "stop":
                self._answers[prompt] = self.processor.decode(row.token_ids)
                self._answers.move_to_end(prompt)
        while len(self._answers) > _REMEMBERED_ANSWERS:
            self._answers.popitem(last=False)
