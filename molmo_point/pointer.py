"""`Pointer`: a frame and a request in, points in the image and targets in space out."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from molmo_point.backend import Backend, Growth, Limits, Prompt, open_backend
from molmo_point.cautions import Caution, CautionKind
from molmo_point.crop import View, views_of
from molmo_point.depth.alignment_check import depth_caution
from molmo_point.depth.lift import lift_point
from molmo_point.errors import CancelledError, InputError
from molmo_point.frame import FrameOrImage, RgbdFrame
from molmo_point.points.abilities import refuse_unable, refuse_untrained
from molmo_point.points.dialects import dialect_of
from molmo_point.points.dialects.prompts import checked_style, question_prompt
from molmo_point.points.judged_answer import JudgedAnswer, judge_answer
from molmo_point.points.stop_rule import GrowingAnswer
from molmo_point.request import MAX_POINTS, Kind, Near, PointRequest, Surface
from molmo_point.results import Completion, Count, Found, ImagePoint, Pointing
from molmo_point.text_checks import MAX_ANSWER_TOKENS, checked_count, checked_question
from molmo_point.trust.judgment import judge_image

_TOKENS_AROUND, _TOKENS_PER_POINT = 64, 20
OnPoints: TypeAlias = Callable[[tuple[ImagePoint, ...]], None]
ShouldStop: TypeAlias = Callable[[], bool]


class Pointer:
    """A model that points at objects named in words.

    The way from words to targets: `point` makes a `PointRequest`, `_answer` lets the model write until
    the request is satisfied, and `_pointing` reads the text and lifts every point through the depth.

    Args:
        backend: The model; `from_pretrained` makes one from a checkpoint.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._dialect = dialect_of(backend.dialect)

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
        taught: str | Path | Sequence[str | Path] | None = None,
    ) -> "Pointer":
        """Load a model.

        Args:
            name_or_folder: An embedded checkpoint ("tabletop", "household"), the folder of a
                checkpoint, or a Hugging Face id such as "allenai/Molmo-7B-D-0924". With `taught`
                also "none", which knows the taught objects only.
            device: "cpu", "cuda", "cuda:1", ...; None takes a GPU if there is one.
            quantization: None, "int8" or "nf4".
            dtype: "float32", "bfloat16" or "float16"; None takes float32 on a CPU, else bfloat16.
            max_crops: Most high-resolution crops of an image. Fewer than the checkpoint's own
                (12 for the released Molmo models) are faster and show small objects more coarsely.
            adapter: Folder of a PEFT adapter (LoRA) of the checkpoint, as `molmo-point train` saves it.
                The folder of an adapter may also be passed as the checkpoint: it knows its base.
            taught: Library of taught objects, as `molmo-point teach` writes it, or a list of several. They
                answer about their objects, the checkpoint about everything else.

        Raises:
            InputError: The checkpoint, device, quantization, dtype, or max_crops is impossible, or a library cannot be used.
            CheckpointError: The checkpoint cannot be used.
            DependencyError: The model's dependencies are not installed.
        """
        settings = {"device": device, "quantization": quantization, "dtype": dtype, "max_crops": max_crops, "adapter": adapter}
        return cls(open_backend(name_or_folder, taught=taught, **settings))

    def point(
        self,
        frame: FrameOrImage,
        query: str | PointRequest,
        *,
        max_points: int = MAX_POINTS,
        labels: bool = True,
        spread: bool = False,
        near: Near | None = None,
        near_size_px: float | None = None,
        prefer: str | Surface = Surface.NEAR,
        reference_depth_m: float | None = None,
        time_budget_s: float | None = None,
        should_stop: ShouldStop | None = None,
        on_points: OnPoints | None = None,
    ) -> Pointing:
        """Point at everything in the image that fits the words.

        Args:
            frame: Image, with depth and intrinsics for targets. Without them, as with a bare RGB
                image (h, w, 3), uint8, every point has the reason NO_INPUT instead of a target.
            query: The objects, e.g. "the handle of the red mug", or a whole request.
            max_points: Most points to keep; the model writes no more than it must.
            labels: False stops the model as soon as the wanted coordinates and its own label are
                known. The label is compared with the words in any case.
            spread: Whether to follow the likely branches of the greedy answer, so that every point
                has its `modes`; this costs about three more passes of the model a point.
            near: Place in the image to look at: a pixel (u, v), a point, or the last answer. Only a
                square around it is read, which is faster for models that cut large images into
                crops. Where nothing is found there, or the square is unlike the images of the
                training, the whole image is looked at; `Pointing.region` says which it was.
            near_size_px: Side of that square in pixels; None takes half of the image's shorter side.
            prefer: Surface of a target where several are plausible: "near", "far" (the one behind,
                e.g. the bottom of a box), or "center" (the one that the pixel itself shows).
            reference_depth_m: Depth along z, in meters, of points in free space ("above the mug"),
                e.g. `position_m[2]` of the mug's target; None measures it.
            time_budget_s: Seconds after which the model writes no further; the points so far are
                the answer.
            should_stop: Asked between passes of the model; True ends the work.
            on_points: Called with all points so far whenever there is a new one, while the model
                still writes.

        Raises:
            InputError: An argument has an impossible value.
            NotTrainedError: The model was not trained for questions of this kind.
            CancelledError: `should_stop` returned True.
        """
        request = PointRequest.of(
            query,
            max_points=max_points,
            labels=labels,
            spread=spread,
            near=near,
            near_size_px=near_size_px,
            prefer=prefer,
            reference_depth_m=reference_depth_m,
            time_budget_s=time_budget_s,
        )
        told = None if on_points is None else lambda _, points: on_points(points)
        clock, whole = _Clock(request), RgbdFrame.of(frame)
        image_caution = judge_image(whole.upright_color, self.backend.for_words(request.words).training)
        for view in views_of(whole, request):
            (answer,) = self._answer(view, (request,), clock, should_stop, told)
            pointing = self._pointing(view, answer, clock, image_caution)
            # A square of an image may be unlike the images of the training, although the whole image is not.
            if pointing.found and all(caution.kind is not CautionKind.UNFAMILIAR_IMAGE for caution in pointing.cautions):
                break
        return pointing

    def point_many(
        self,
        frame: FrameOrImage,
        queries: Sequence[str | PointRequest],
        *,
        max_points: int = MAX_POINTS,
        labels: bool = True,
        spread: bool = False,
        prefer: str | Surface = Surface.NEAR,
        reference_depth_m: float | None = None,
        time_budget_s: float | None = None,
        should_stop: ShouldStop | None = None,
        on_points: Callable[[int, tuple[ImagePoint, ...]], None] | None = None,
    ) -> tuple[Pointing, ...]:
        """Point at several kinds of objects in one image, which the model reads once.

        Arguments and errors as `point`; `on_points` gets the index of the query first. The times of
        an answer are those of all of them together. Requests must look at the whole image.
        """
        if isinstance(queries, str) or not queries:
            raise InputError("queries must be a list of queries", repr(queries), "e.g. ['the red mug', 'the spoon']")
        requests = tuple(
            PointRequest.of(
                query,
                max_points=max_points,
                labels=labels,
                spread=spread,
                prefer=prefer,
                reference_depth_m=reference_depth_m,
                time_budget_s=time_budget_s,
            )
            for query in queries
        )
        if any(request.near is not None for request in requests):
            raise InputError("near must be None for several queries", "a place to look at", "ask one by one with point")
        view, clock = View(RgbdFrame.of(frame), None), _Clock(*requests)
        answers = self._answer(view, requests, clock, should_stop, on_points)
        # Layers of one model may share their training, so that the image is judged once.
        trainings = {id(answer.backend.training): answer.backend.training for answer in answers}
        cautions = {key: judge_image(view.color, training) for key, training in trainings.items()}
        return tuple(self._pointing(view, answer, clock, cautions[id(answer.backend.training)]) for answer in answers)

    def count(
        self,
        frame: FrameOrImage,
        query: str | PointRequest,
        *,
        max_points: int = MAX_POINTS,
        time_budget_s: float | None = None,
        should_stop: ShouldStop | None = None,
        on_points: OnPoints | None = None,
    ) -> Count:
        """Count the objects that fit the words, with a point on each; arguments and errors as `point`."""
        request = PointRequest.of(query, kind=Kind.COUNT, max_points=max_points, time_budget_s=time_budget_s)
        told = None if on_points is None else lambda _, points: on_points(points)
        view, clock = View(RgbdFrame.of(frame), None), _Clock(request)
        (answer,) = self._answer(view, (request,), clock, should_stop, told)
        judged = self._judged(view, answer, judge_image(view.color, answer.backend.training))
        parsed = judged.parsed
        return Count(
            query=request.words,
            model=answer.backend.name,
            text=answer.completion.text,
            count=parsed.object_count or parsed.stated_count or 0,
            stated_count=parsed.stated_count,
            points=view.to_image(judged.points),
            consistent=parsed.consistent and answer.completion.finish_reason == "stop",
            timing_ms=clock.timing_ms(answer, time.perf_counter()),
            problems=judged.problems,
            stamp_ns=view.frame.stamp_ns,
            frame=view.frame.frame,
            cautions=judged.cautions,
            confidence=judged.count_confidence,
            signals=judged.signals,
        )

    def ask(
        self,
        frame: FrameOrImage,
        question: str,
        *,
        style: str | None = None,
        max_new_tokens: int = MAX_ANSWER_TOKENS,
        should_stop: ShouldStop | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask a free question about the image; the answer is text and is not interpreted.

        Args:
            frame: Only its image is looked at; a bare RGB image (h, w, 3), uint8, will do.
            question: The question; line breaks are kept, as multiple-choice questions need them.
            style: A style that Molmo was trained on, such as "vqa2" for answers of one word or
                "doc_qa"; see `molmo_point.points.dialects.prompts`. None lets the model answer freely.
            max_new_tokens: Most tokens of the answer; a longer one ends as "length".
            should_stop: Asked between passes; True ends the work.
            on_text: Called with the whole text so far whenever it has grown.

        Returns:
            The answer as the model wrote it; Molmo begins with a space.

        Raises:
            InputError: An argument has an impossible value.
            NotTrainedError: The model was not trained for questions of this kind.
            CancelledError: `should_stop` returned True.
        """
        text = question_prompt(checked_question(question))
        prompt = Prompt(text if style is None else f"{checked_style(style)}: {text}")
        return self._text(frame, prompt, max_new_tokens, should_stop, on_text)

    def caption(
        self,
        frame: FrameOrImage,
        *,
        max_new_tokens: int = MAX_ANSWER_TOKENS,
        should_stop: ShouldStop | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Describe the image; arguments, result and errors as `ask`."""
        prompt = Prompt(self._dialect.ask_to_describe(), Kind.CAPTION)
        return self._text(frame, prompt, max_new_tokens, should_stop, on_text)

    def _text(
        self,
        frame: FrameOrImage,
        prompt: Prompt,
        max_new_tokens: int,
        should_stop: ShouldStop | None,
        on_text: Callable[[str], None] | None,
    ) -> Completion:
        limits = Limits(checked_count("max_new_tokens", max_new_tokens, MAX_ANSWER_TOKENS))
        refuse_untrained(self.backend, prompt.kind)
        color = RgbdFrame.of(frame).upright_color
        last: Growth | None = None
        _raise_if_stopped(should_stop, prompt, None)
        with closing(_generator(self.backend.answers(color, (prompt,), limits))) as growths:
            for growth in growths:
                last = growth
                if on_text is not None and growth.text:
                    on_text(growth.text)
                if not growth.finished:
                    _raise_if_stopped(should_stop, prompt, growth)
        assert last is not None, "a backend yields at least one growth"
        return last.completion

    def _answer(
        self,
        view: View,
        requests: Sequence[PointRequest],
        clock: "_Clock",
        should_stop: ShouldStop | None,
        on_points: Callable[[int, tuple[ImagePoint, ...]], None] | None,
    ) -> tuple[GrowingAnswer, ...]:
        """Let the model write until every request is satisfied, its time is over, or the caller stops it."""
        answers = tuple(GrowingAnswer(request, self.backend.for_words(request.words), view.size_wh) for request in requests)
        for answer in answers:
            refuse_unable(answer.backend, answer.request)
        for batch in _batches(answers):
            limits = Limits(_TOKENS_AROUND + _TOKENS_PER_POINT * max(answer.request.max_points for answer in batch))
            _raise_if_stopped(should_stop, batch[0].prompt, None)
            growths = batch[0].backend.answers(view.color, tuple(answer.prompt for answer in batch), limits)
            with closing(_generator(growths)) as growing:
                for growth in growing:
                    answer = batch[growth.prompt]
                    fresh = answer.take(growth)
                    if fresh and on_points is not None:
                        on_points(answers.index(answer), view.to_image(answer.points))
                    if not growth.finished:
                        _raise_if_stopped(should_stop, answer.prompt, growth)
                    if all(each.is_done(clock.deadline) for each in batch):
                        break
        clock.generated = time.perf_counter()
        return answers

    def _judged(self, view: View, answer: GrowingAnswer, image_caution: Caution | None) -> JudgedAnswer:
        """Read, rate and judge an answer; its points are in pixels of the view."""
        spreads = answer.backend.spreads(view.color, answer.prompt, answer.completion) if answer.request.spread else ()
        return judge_answer(answer, view.size_wh, spreads, image_caution)

    def _pointing(self, view: View, answer: GrowingAnswer, clock: "_Clock", image_caution: Caution | None) -> Pointing:
        request, judged = answer.request, self._judged(view, answer, image_caution)
        points, read = view.to_image(judged.points), time.perf_counter()
        doubt = depth_caution(view.frame)
        surface = {"prefer": request.prefer, "reference_depth_m": request.reference_depth_m}
        return Pointing(
            query=request.words,
            model=answer.backend.name,
            text=answer.completion.text,
            absent=judged.parsed.absent,
            found=tuple(Found.of(point, lift_point(point, view.frame, **surface)) for point in points),
            timing_ms=clock.timing_ms(answer, read),
            stamp_ns=view.frame.stamp_ns,
            frame=view.frame.frame,
            problems=judged.problems,
            truncated=judged.truncated,
            absent_probability=judged.absent_probability,
            region=None if view.region is None else view.region.as_tuple(),
            cautions=judged.cautions if doubt is None else (*judged.cautions, doubt),
            denial_probability=judged.denial_probability,
            signals=judged.signals,
        )


class _Clock:
    """The times of one call, from `time.perf_counter`."""

    def __init__(self, *requests: PointRequest) -> None:
        self.start = self.generated = time.perf_counter()
        self.deadline = self.start + min(request.deadline_after_s for request in requests)

    def timing_ms(self, answer: GrowingAnswer, read: float) -> dict[str, float]:
        """Return milliseconds of every stage."""
        end = time.perf_counter()
        return {
            **answer.completion.timing_ms,
            "generate": (self.generated - self.start) * 1e3,
            "parse": (read - self.generated) * 1e3,
            "lift": (end - read) * 1e3,
            "total": (end - self.start) * 1e3,
        }


def _generator(growths: Iterator[Growth]) -> Generator[Growth, None, None]:
    """Pass an iterator on as a generator, which can be closed whatever the backend returns."""
    yield from growths


def _batches(answers: tuple[GrowingAnswer, ...]) -> tuple[tuple[GrowingAnswer, ...], ...]:
    """Divide answers by their model, and into single ones where it answers only one prompt at a time."""
    by_model: dict[int, list[GrowingAnswer]] = {}
    for answer in answers:
        by_model.setdefault(id(answer.backend), []).append(answer)
    groups = by_model.values()
    return tuple(
        batch for group in groups for batch in ([tuple(group)] if group[0].backend.batches else [(each,) for each in group])
    )


def _raise_if_stopped(should_stop: ShouldStop | None, prompt: Prompt, growth: Growth | None) -> None:
    if should_stop is not None and should_stop():
        count = 0 if growth is None else growth.completion.token_count
        given = f"{prompt.text!r} after {count} tokens"
        fix = "ask again, or do not let should_stop return True"
        raise CancelledError("the work was cancelled before the answer was complete", given, fix)
