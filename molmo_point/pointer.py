"""`Pointer`: a frame and words in, points in the image and targets in space out."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from molmo_point.errors import CancelledError, InputError
from molmo_point.frame import RgbdFrame
from molmo_point.lift import lift_points
from molmo_point.model.request import MAX_ANSWER_TOKENS, MAX_POINTS, checked_length, checked_query, checked_question
from molmo_point.points.confidence import point_confidences
from molmo_point.points.parse import ParsedAnswer, parse_answer
from molmo_point.points.stream import PointStream
from molmo_point.results import Completion, Count, ImagePoint, Pointing

DEFAULT_SIGMA_SHARE = 0.01
_TOKENS_AROUND, _TOKENS_PER_POINT = 64, 20
_CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


class Backend(Protocol):
    """A model as `Pointer` uses it.

    A backend may also have `family`: the dialect of its answers, as `points.parse.parse_answer`
    names them (default "molmo"); and `sigma_px`: the standard deviation of its points along u and
    v, in pixels of an image 640 pixels wide (it is scaled with the width).
    """

    name: str

    def generate(
        self,
        image: NDArray[np.uint8],
        prompt: str,
        *,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Answer a prompt about an RGB image (h, w, 3).

        `should_stop` is asked between tokens; when it says True the completion ends as
        "cancelled". `on_text` receives the whole text so far whenever it has grown.
        """
        ...


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
    ) -> "Pointer":
        """Load a model.

        Args:
            name_or_folder: The name of an embedded checkpoint ("tabletop"), a folder with a
                checkpoint, or a Hugging Face id such as "allenai/Molmo-7B-D-0924".
            device: "cpu", "cuda", "cuda:1", ...; default the best there is.
            quantization: None, "int8" or "nf4".
            dtype: "float32", "bfloat16" or "float16"; None takes float32 on a CPU, else bfloat16.

        Raises:
            InputError: If there is no such checkpoint, device, quantization or dtype.
            CheckpointError: If the checkpoint cannot be used.
            DependencyError: If the model's dependencies are not installed.
        """
        source = _resolve(name_or_folder)
        from molmo_point.model import load_backend

        return cls(load_backend(source, device=device, quantization=quantization, dtype=dtype))

    def point(
        self,
        frame: RgbdFrame,
        query: str,
        *,
        max_points: int = MAX_POINTS,
        should_stop: Callable[[], bool] | None = None,
        on_points: Callable[[tuple[ImagePoint, ...]], None] | None = None,
    ) -> Pointing:
        """Point at everything in the image that fits the words.

        Args:
            frame: Image, and depth and intrinsics where targets are wanted; without them every
                point is unreachable with the reason NO_INPUT.
            query: What to point at, e.g. "the handle of the red mug".
            max_points: Keep at most this many points; it also bounds the length of the answer.
            should_stop: Asked between tokens; True ends the work.
            on_points: Called with all points so far whenever there is a new one, while the model
                still writes.

        Raises:
            InputError: For an empty, too long or unprintable query, or max_points below one.
            CancelledError: When `should_stop` said so.
        """
        from molmo_point.model.prompt import pointing_prompt

        start = time.perf_counter()
        query = checked_query(query, max_points)
        completion = self._complete(frame, pointing_prompt(query), max_points, should_stop, on_points)
        generated = time.perf_counter()
        answer = parse_answer(completion.text, frame.size_wh, _family(self.backend))
        points = self._rated(completion, answer, frame)[:max_points]
        parsed = time.perf_counter()
        targets, unreachable = lift_points(points, frame)
        return Pointing(
            query=query,
            model=self.backend.name,
            text=completion.text,
            absent=answer.absent,
            points=points,
            targets=targets,
            unreachable=unreachable,
            timing_ms=_timing(completion, start, generated, parsed),
            stamp_ns=frame.stamp_ns,
            frame=frame.frame,
            problems=_problems(answer, max_points),
            truncated=answer.truncated or completion.finish_reason == "length",
        )

    def count(
        self,
        frame: RgbdFrame,
        query: str,
        *,
        max_points: int = MAX_POINTS,
        should_stop: Callable[[], bool] | None = None,
        on_points: Callable[[tuple[ImagePoint, ...]], None] | None = None,
    ) -> Count:
        """Count what fits the words, with a point on each; arguments and errors as `point`."""
        from molmo_point.model.prompt import counting_prompt

        start = time.perf_counter()
        query = checked_query(query, max_points)
        completion = self._complete(frame, counting_prompt(query), max_points, should_stop, on_points)
        generated = time.perf_counter()
        answer = parse_answer(completion.text, frame.size_wh, _family(self.backend))
        points = self._rated(completion, answer, frame)
        count = len(points) or answer.stated_count or 0
        understood = bool(points) or answer.absent or answer.stated_count is not None
        complete = not answer.truncated and completion.finish_reason != "length"
        agreed = answer.stated_count is None or answer.stated_count == len(points)
        return Count(
            query=query,
            model=self.backend.name,
            text=completion.text,
            count=count,
            stated_count=answer.stated_count,
            points=points,
            consistent=understood and complete and agreed,
            timing_ms=_timing(completion, start, generated, time.perf_counter()),
        )

    def ask(
        self,
        frame: RgbdFrame,
        question: str,
        *,
        style: str | None = None,
        max_new_tokens: int = MAX_ANSWER_TOKENS,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Ask anything about the image; the answer is text and nothing is read into it.

        Args:
            frame: Only its image is looked at.
            question: In your words; line breaks are kept, as multiple-choice questions need them.
            style: A style that Molmo was trained on, such as "vqa2" for answers of one word or
                "doc_qa"; see `molmo_point.model.prompt`. None lets the model answer freely.
            max_new_tokens: Longest answer, in tokens; a longer one ends as "length".
            should_stop: Asked between tokens; True ends the work.
            on_text: Called with the whole text so far whenever it has grown.

        Returns:
            The answer as the model wrote it; Molmo begins with a space.

        Raises:
            InputError: For an empty, too long or unprintable question, an unknown style, or
                max_new_tokens below one.
            CancelledError: When `should_stop` said so.
        """
        from molmo_point.model.prompt import checked_style, question_prompt

        prompt = question_prompt(checked_question(question, max_new_tokens))
        if style is not None:
            prompt = f"{checked_style(style)}: {prompt}"
        return self._text(frame, prompt, max_new_tokens, should_stop, on_text)

    def caption(
        self,
        frame: RgbdFrame,
        *,
        max_new_tokens: int = MAX_ANSWER_TOKENS,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Describe the image; arguments, result and errors as `ask`."""
        from molmo_point.model.prompt import caption_prompt

        checked_length(max_new_tokens)
        return self._text(frame, caption_prompt(), max_new_tokens, should_stop, on_text)

    def _text(
        self,
        frame: RgbdFrame,
        prompt: str,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None,
        on_text: Callable[[str], None] | None,
    ) -> Completion:
        if should_stop is not None and should_stop():
            raise _cancelled(prompt, 0)
        completion = self.backend.generate(
            frame.color, prompt, max_new_tokens=max_new_tokens, should_stop=should_stop, on_text=on_text
        )
        if completion.finish_reason == "cancelled":
            raise _cancelled(prompt, completion.token_count)
        return completion

    def _complete(
        self,
        frame: RgbdFrame,
        prompt: str,
        max_points: int,
        should_stop: Callable[[], bool] | None,
        on_points: Callable[[tuple[ImagePoint, ...]], None] | None,
    ) -> Completion:
        on_text = None if on_points is None else _streamed(on_points, frame.size_wh, max_points, _family(self.backend))
        return self._text(frame, prompt, _TOKENS_AROUND + _TOKENS_PER_POINT * max_points, should_stop, on_text)

    def _rated(self, completion: Completion, answer: ParsedAnswer, frame: RgbdFrame) -> tuple[ImagePoint, ...]:
        """The points with the model's confidence and error."""
        sigma_px = _sigma_px(self.backend, frame.size_wh[0])
        confidences = point_confidences(completion, answer.spans)
        pairs = zip(answer.points, confidences, strict=True)
        return tuple(replace(point, confidence=confidence, sigma_px=sigma_px) for point, confidence in pairs)


def available_checkpoints() -> tuple[str, ...]:
    """Names of the checkpoints that are embedded in this package."""
    return tuple(sorted(path.parent.name for path in _CHECKPOINTS.glob("*/config.json")))


def _resolve(name_or_folder: str | Path) -> str | Path:
    """An embedded name or a folder to its path; a Hugging Face id stays as it is."""
    name = str(name_or_folder)
    if name in available_checkpoints():
        return _CHECKPOINTS / name
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    parts = name.split("/")
    looks_like_id = len(parts) == 2 and all(parts) and not name.startswith((".", "~")) and "\\" not in name
    if isinstance(name_or_folder, str) and looks_like_id:
        return name
    raise InputError(
        "There is no such checkpoint",
        repr(name),
        f"use an embedded one ({', '.join(available_checkpoints()) or 'none is installed'}), the path of an "
        "existing folder, or a Hugging Face id such as 'allenai/Molmo-7B-D-0924'",
    )


def _streamed(
    on_points: Callable[[tuple[ImagePoint, ...]], None], size_wh: tuple[int, int], max_points: int, family: str
) -> Callable[[str], None]:
    stream = PointStream(size_wh, family)

    def on_text(text: str) -> None:
        told = len(stream.points)
        if stream.follow(text) and told < max_points:
            on_points(stream.points[:max_points])

    return on_text


def _family(backend: Any) -> str:
    return str(getattr(backend, "family", "molmo"))


def _sigma_px(backend: Any, width: int) -> float:
    sigma_640_px = getattr(backend, "sigma_px", None)
    if sigma_640_px is None or not math.isfinite(sigma_640_px):
        return DEFAULT_SIGMA_SHARE * width
    return float(sigma_640_px) * width / 640


def _cancelled(prompt: str, token_count: int) -> CancelledError:
    return CancelledError(
        "The work was cancelled before the answer was complete",
        f"{prompt!r} after {token_count} tokens",
        "ask again, or do not let should_stop return True",
    )


def _problems(answer: ParsedAnswer, max_points: int) -> tuple[str, ...]:
    if len(answer.points) <= max_points:
        return answer.problems
    return (*answer.problems, f"{len(answer.points)} points, of which the first {max_points} are kept")


def _timing(completion: Completion, start: float, generated: float, parsed: float) -> dict[str, float]:
    end = time.perf_counter()
    return {
        **completion.timing_ms,
        "generate": (generated - start) * 1e3,
        "parse": (parsed - generated) * 1e3,
        "lift": (end - parsed) * 1e3,
        "total": (end - start) * 1e3,
    }
