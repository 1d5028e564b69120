"""`Pointer`: a frame and words in, points in the image and targets in space out."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from molmo_point.backend import Backend, complete_all, resolve_checkpoint
from molmo_point.crop import region_near
from molmo_point.depth.lift import check_lifting, lift_points
from molmo_point.errors import InputError
from molmo_point.frame import FrameOrImage, RgbdFrame
from molmo_point.points.incremental_parser import closed_number
from molmo_point.points.parse import ParsedAnswer, parse_answer
from molmo_point.points.point_quality import rate_points
from molmo_point.points.stop_rule import AnswerWatch
from molmo_point.request import Asked, cancelled, deadline, ended, problems, timing
from molmo_point.request_checks import (
    MAX_ANSWER_TOKENS,
    MAX_POINTS,
    checked_length,
    checked_query,
    checked_question,
)
from molmo_point.results import Completion, Count, ImagePoint, Pointing
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

_TOKENS_AROUND, _TOKENS_PER_POINT = 64, 20
Near = tuple[float, float] | ImagePoint | Pointing
"""Where to look: a pixel (u, v), a point, or all points of an answer."""
OnPoints = Callable[[tuple[ImagePoint, ...]], None]


class Pointer:
    """Points at things that are named in words.

    Args:
        backend: The model; see `Backend`. `from_pretrained` makes one from a checkpoint.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path = "tabletop",
        *,
        device: str | None = None,
        quantization: str | None = None,
        dtype: str | None = None,
        max_crops: int | None = None,
        adapter: str | Path | None = None,
    ) -> "Pointer":
        """Load a model.

        Args:
            name_or_folder: The name of an embedded checkpoint ("tabletop"), a folder with a
                checkpoint, or a Hugging Face id such as "allenai/Molmo-7B-D-0924".
            device: "cpu", "cuda", "cuda:1", ...; default the best there is.
            quantization: None, "int8" or "nf4".
            dtype: "float32", "bfloat16" or "float16"; None takes float32 on a CPU, else bfloat16.
            max_crops: Look at fewer high-resolution crops of each image than the checkpoint was
                trained with: faster, and approximate, because small things are seen more coarsely.
                None leaves the checkpoint's own number (12 for the released Molmo models).
            adapter: Folder of a PEFT adapter (LoRA) of the checkpoint, as `molmo-point train` saves
                it. The folder of an adapter may also be passed as the checkpoint: it knows its base.

        Raises:
            InputError: If there is no such checkpoint, device, quantization or dtype, or if
                max_crops is above the checkpoint's own or below one.
            CheckpointError: If the checkpoint cannot be used.
            DependencyError: If the model's dependencies are not installed.
        """
        source = resolve_checkpoint(name_or_folder)
        from molmo_point.model import load_backend

        return cls(
            load_backend(source, device=device, quantization=quantization, dtype=dtype, max_crops=max_crops, adapter=adapter)
        )

    def point(
        self,
        frame: FrameOrImage,
        query: str,
        *,
        max_points: int = MAX_POINTS,
        labels: bool = True,
        spread: bool = False,
        near: Near | None = None,
        near_size_px: float | None = None,
        prefer: str = "near",
        reference_depth_m: float | None = None,
        time_budget_s: float | None = None,
        should_stop: Callable[[], bool] | None = None,
        on_points: OnPoints | None = None,
    ) -> Pointing:
        """Point at everything in the image that fits the words.

        Args:
            frame: Image, and depth and intrinsics where targets are wanted; without them, as with a
                bare RGB image (h, w, 3), uint8, every point is unreachable with the reason NO_INPUT.
            query: What to point at, e.g. "the handle of the red mug".
            max_points: Keep at most this many points; the model writes no more than it must.
            labels: False stops the model as soon as the coordinates are out, before it names what
                it points at; the label of a point is the query then.
            spread: Also follow the likely branches beside the greedy answer, so that every point
                has its `modes`; about three more passes of the model for each point.
            near: Look at a square of the image around this place only: a pixel (u, v), a point, or
                the last answer. Faster with models that cut large images into crops, and
                approximate: the answer is that about another picture, and things outside are not
                seen. Where nothing is found there, the whole image is looked at; `Pointing.region`
                says which it was.
            near_size_px: Side of that square; None takes half of the image's shorter side.
            prefer: Which surface a target is on where several are plausible: "near", "far" (the one
                behind, e.g. the bottom of a box), or "centre" (what the pixel itself shows).
            reference_depth_m: For points in free space ("above the mug"): lift them to this depth
                along z, e.g. `position_m[2]` of the mug's target, instead of what is behind them.
            time_budget_s: Write no further after this time; what is there by then is the answer.
            should_stop: Asked between passes of the model; True ends the work.
            on_points: Called with all points so far whenever there is a new one, while the model
                still writes.

        Raises:
            InputError: For what is no frame or image, an empty, too long or unprintable query,
                max_points below one, a time budget that is not above zero, a spread that the
                backend cannot tell, a place to look that is outside the image, an unknown
                preference, or an impossible reference depth.
            CancelledError: When `should_stop` said so.
        """
        start = time.perf_counter()
        frame = RgbdFrame.of(frame)
        check_lifting(prefer, reference_depth_m)
        region = None if near is None else region_near(near, frame.size_wh, near_size_px)
        told = None if on_points is None else lambda _, points: on_points(points)
        deadline_s = deadline(start, time_budget_s)
        for part in (None,) if region is None else (region, None):
            asked = Asked(frame, part, max_points, labels, spread, start, prefer, reference_depth_m)
            (pointing,) = self._answers(asked, (query,), deadline_s, should_stop, told)
            if pointing.points:
                break
        return pointing

    def point_many(
        self,
        frame: FrameOrImage,
        queries: Sequence[str],
        *,
        max_points: int = MAX_POINTS,
        labels: bool = True,
        spread: bool = False,
        prefer: str = "near",
        reference_depth_m: float | None = None,
        time_budget_s: float | None = None,
        should_stop: Callable[[], bool] | None = None,
        on_points: Callable[[int, tuple[ImagePoint, ...]], None] | None = None,
    ) -> tuple[Pointing, ...]:
        """Point at several things in one image, which the model reads once.

        Arguments and errors as `point`; `on_points` is told the index of the query first. The
        times of an answer are those of all of them together.
        """
        start = time.perf_counter()
        check_lifting(prefer, reference_depth_m)
        asked = Asked(RgbdFrame.of(frame), None, max_points, labels, spread, start, prefer, reference_depth_m)
        return self._answers(asked, queries, deadline(start, time_budget_s), should_stop, on_points)

    def _answers(
        self,
        asked: Asked,
        queries: Sequence[str],
        deadline_s: float,
        should_stop: Callable[[], bool] | None,
        on_points: Callable[[int, tuple[ImagePoint, ...]], None] | None,
    ) -> tuple[Pointing, ...]:
        from molmo_point.points.dialects.prompts import pointing_prompt

        if not queries:
            raise InputError("There is no query", repr(queries), "say what to point at, e.g. ['the red mug']")
        names = tuple(checked_query(query, asked.max_points) for query in queries)
        prompts = tuple(pointing_prompt(name) for name in names)
        view, tell = asked.view(), on_points
        if on_points is not None and asked.region is not None:
            tell = lambda index, points: on_points(index, asked.to_image(points))  # noqa: E731
        completions = self._complete(view, prompts, asked.max_points, asked.labels, deadline_s, should_stop, tell)
        generated = time.perf_counter()
        return tuple(
            self._pointing(asked, view, name, prompt, completion, generated)
            for name, prompt, completion in zip(names, prompts, completions, strict=True)
        )

    def _pointing(
        self, asked: Asked, view: RgbdFrame, query: str, prompt: str, completion: Completion, generated: float
    ) -> Pointing:
        answer = self._read(completion, view)
        spreads = self._spreads(view, prompt, completion) if asked.spread else ()
        calibration = _calibration(self.backend)
        rated = rate_points(completion, answer, view.size_wh, _sigma_px(self.backend), spreads, calibration)[: asked.max_points]
        points = asked.to_image(tuple(point if point.label else replace(point, label=query) for point in rated))
        parsed = time.perf_counter()
        targets, unreachable = lift_points(points, asked.frame, prefer=asked.prefer, reference_depth_m=asked.reference_depth_m)
        stopped_early = completion.finish_reason == "points"
        return Pointing(
            query=query,
            model=self.backend.name,
            text=completion.text,
            absent=answer.absent,
            points=points,
            targets=targets,
            unreachable=unreachable,
            timing_ms=timing(completion, asked.start, generated, parsed),
            stamp_ns=asked.frame.stamp_ns,
            frame=asked.frame.frame,
            problems=problems(answer, completion, asked.max_points, asked.labels),
            truncated=not stopped_early and (answer.truncated or completion.finish_reason in ("length", "time")),
            absent_probability=calibration.absent(completion.absent_probability),
            region=None if asked.region is None else asked.region.as_tuple(),
        )

    def count(
        self,
        frame: FrameOrImage,
        query: str,
        *,
        max_points: int = MAX_POINTS,
        time_budget_s: float | None = None,
        should_stop: Callable[[], bool] | None = None,
        on_points: OnPoints | None = None,
    ) -> Count:
        """Count what fits the words, with a point on each; arguments and errors as `point`."""
        from molmo_point.points.dialects.prompts import counting_prompt

        start = time.perf_counter()
        frame = RgbdFrame.of(frame)
        query = checked_query(query, max_points)
        told = None if on_points is None else lambda _, points: on_points(points)
        deadline_s = deadline(start, time_budget_s)
        completion = self._complete(frame, (counting_prompt(query),), max_points, True, deadline_s, should_stop, told)[0]
        generated = time.perf_counter()
        answer = self._read(completion, frame)
        points = rate_points(completion, answer, frame.size_wh, _sigma_px(self.backend), calibration=_calibration(self.backend))
        return Count(
            query=query,
            model=self.backend.name,
            text=completion.text,
            count=answer.object_count or answer.stated_count or 0,
            stated_count=answer.stated_count,
            points=points,
            consistent=answer.consistent and completion.finish_reason == "stop",
            timing_ms=timing(completion, start, generated, time.perf_counter()),
        )

    def ask(
        self,
        frame: FrameOrImage,
        question: str,
        *,
        style: str | None = None,
        max_new_tokens: int = MAX_ANSWER_TOKENS,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask anything about the image; the answer is text and nothing is read into it.

        Args:
            frame: Only its image is looked at; a bare RGB image (h, w, 3), uint8, will do.
            question: In your words; line breaks are kept, as multiple-choice questions need them.
            style: A style that Molmo was trained on, such as "vqa2" for answers of one word or
                "doc_qa"; see `molmo_point.points.dialects.prompts`. None lets the model answer freely.
            max_new_tokens: Longest answer, in tokens; a longer one ends as "length".
            should_stop: Asked between tokens; True ends the work.
            on_text: Called with the whole text so far whenever it has grown.

        Returns:
            The answer as the model wrote it; Molmo begins with a space.

        Raises:
            InputError: For what is no frame or image, an empty, too long or unprintable question, an unknown style, or
                max_new_tokens below one.
            CancelledError: When `should_stop` said so.
        """
        from molmo_point.points.dialects.prompts import checked_style, question_prompt

        prompt = question_prompt(checked_question(question, max_new_tokens))
        if style is not None:
            prompt = f"{checked_style(style)}: {prompt}"
        return self._text(frame, prompt, max_new_tokens, should_stop, on_text)

    def caption(
        self,
        frame: FrameOrImage,
        *,
        max_new_tokens: int = MAX_ANSWER_TOKENS,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Describe the image; arguments, result and errors as `ask`."""
        from molmo_point.points.dialects.prompts import caption_prompt

        checked_length(max_new_tokens)
        return self._text(frame, caption_prompt(), max_new_tokens, should_stop, on_text)

    def _text(
        self,
        frame: FrameOrImage,
        prompt: str,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None,
        on_text: Callable[[str], None] | None,
    ) -> Completion:
        color = RgbdFrame.of(frame).color
        if should_stop is not None and should_stop():
            raise cancelled(prompt, 0)
        completion = self.backend.generate(color, prompt, max_new_tokens=max_new_tokens, should_stop=should_stop, on_text=on_text)
        if completion.finish_reason == "cancelled":
            raise cancelled(prompt, completion.token_count)
        return completion

    def _complete(
        self,
        frame: RgbdFrame,
        prompts: tuple[str, ...],
        max_points: int,
        labels: bool,
        deadline_s: float,
        should_stop: Callable[[], bool] | None,
        on_points: Callable[[int, tuple[ImagePoint, ...]], None] | None,
    ) -> tuple[Completion, ...]:
        """Completions of the prompts, each ended as soon as it has what is wanted."""
        if should_stop is not None and should_stop():
            raise cancelled(prompts[0], 0)
        tell = on_points or _no_points
        watches = [
            AnswerWatch(
                frame.size_wh,
                _family(self.backend),
                max_points=max_points,
                labels=labels,
                deadline_s=deadline_s,
                on_points=lambda points, index=index: tell(index, points),
                should_stop=should_stop,
            )
            for index in range(len(prompts))
        ]
        completions = complete_all(
            self.backend,
            frame.color,
            prompts,
            max_new_tokens=_TOKENS_AROUND + _TOKENS_PER_POINT * max_points,
            should_stop=lambda index: watches[index].should_stop(),
            on_text=lambda index, text: watches[index].on_text(text),
        )
        return tuple(ended(*each) for each in zip(prompts, completions, watches, strict=True))

    def _read(self, completion: Completion, frame: RgbdFrame) -> ParsedAnswer:
        text = completion.text
        if completion.finish_reason in ("points", "time"):
            text = closed_number(text)  # stopped at the last digit, before the quote behind it
        return parse_answer(text, frame.size_wh, _family(self.backend))

    def _spreads(self, frame: RgbdFrame, prompt: str, completion: Completion) -> tuple[Any, ...]:
        backend: Any = self.backend
        if not hasattr(backend, "spreads"):
            fix = "use a Molmo v1 checkpoint, or spread=False"
            raise InputError("This model cannot tell how its points are spread", self.backend.name, fix)
        return backend.spreads(frame.color, prompt, completion)


def _no_points(index: int, points: tuple[ImagePoint, ...]) -> None:
    """Nobody listens."""


def _family(backend: Any) -> str:
    return str(getattr(backend, "family", "molmo"))


def _sigma_px(backend: Any) -> float:
    return float(getattr(backend, "sigma_px", math.nan))


def _calibration(backend: Any) -> Calibration:
    return getattr(backend, "calibration", UNCALIBRATED)
