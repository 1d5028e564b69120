"""What a model looks like to the rest of the SDK, and which checkpoints come with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from molmo_point.errors import InputError
from molmo_point.results import Completion

_CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


class Backend(Protocol):
    """A model as `Pointer` uses it.

    A backend may have more: `family`, the dialect of its answers, as `points.parse.parse_answer`
    names them (default "molmo"); `sigma_px`, the standard deviation of its points along u and v, in
    pixels of an image 640 pixels wide (it is scaled with the width); `calibration`, a
    `molmo_point.trust.confidence_calibration.Calibration` of its probabilities; `generate_many(image, prompts,
    ...)`, which reads the image once, with `on_text` told the prompt's index first; and
    `spreads(image, prompt, completion)`, the distribution of each point.
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

        `should_stop` is asked between passes of the model; when it says True the completion ends
        as "cancelled". `on_text` receives the whole text so far whenever it has grown.
        """
        ...


def complete_all(
    backend: Any,
    image: NDArray[np.uint8],
    prompts: tuple[str, ...],
    *,
    max_new_tokens: int,
    should_stop: Callable[[int], bool],
    on_text: Callable[[int, str], None],
) -> tuple[Completion, ...]:
    """Answers to several prompts about one image, in one batch where the backend can.

    Args:
        backend: See `Backend`.
        image: (h, w, 3) RGB.
        prompts: One or more.
        max_new_tokens: Most tokens of each answer.
        should_stop: Asked with the index of a prompt; a batch stops when all its prompts may.
        on_text: Told the index of a prompt and its answer so far.
    """
    indices = range(len(prompts))

    def all_stopped() -> bool:
        # Each is asked, because a watch notes its reason when it is asked.
        stopped = [should_stop(index) for index in indices]
        return all(stopped)

    if len(prompts) > 1 and hasattr(backend, "generate_many"):
        return backend.generate_many(
            image,
            prompts,
            max_new_tokens=max_new_tokens,
            should_stop=all_stopped,
            on_text=on_text,
        )
    return tuple(
        backend.generate(
            image,
            prompts[index],
            max_new_tokens=max_new_tokens,
            should_stop=lambda index=index: should_stop(index),
            on_text=lambda text, index=index: on_text(index, text),
        )
        for index in indices
    )


def available_checkpoints() -> tuple[str, ...]:
    """Names of the checkpoints that are embedded in this package."""
    return tuple(sorted(path.parent.name for path in _CHECKPOINTS.glob("*/config.json")))


def resolve_checkpoint(name_or_folder: str | Path) -> str | Path:
    """An embedded name or a folder to its path; a Hugging Face id stays as it is.

    Raises:
        InputError: It is none of these.
    """
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
