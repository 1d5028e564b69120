"""A loaded checkpoint behind the one method that the rest of the SDK uses."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_point.errors import CheckpointError, DependencyError, InputError
from molmo_point.model.generate import greedy
from molmo_point.model.loading import load_model
from molmo_point.model.molmo import MolmoForCausalLM
from molmo_point.model.processing import Processor
from molmo_point.results import Completion


class MolmoBackend:
    """Molmo with its processor.

    Args:
        model: The model, in eval mode.
        processor: Its tokenizer and image settings.
        name: What results call it.
        sigma_px: Standard deviation of its points along u and v in pixels of an image 640 pixels
            wide, as measured on validation scenes; NaN where nobody measured it.
    """

    def __init__(self, model: MolmoForCausalLM, processor: Processor, name: str, sigma_px: float = float("nan")) -> None:
        self.model = model
        self.processor = processor
        self.name = name
        self.sigma_px = sigma_px

    def generate(
        self,
        image: np.ndarray,
        prompt: str,
        *,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Answers a prompt about an image, greedily.

        Args:
            image: (h, w, 3) uint8 RGB.
            prompt: What the user says.
            max_new_tokens: Most tokens to generate.
            should_stop: Asked before every token; True ends the completion as ``"cancelled"``.
            on_text: Told the whole text so far whenever it has grown.

        Raises:
            InputError: The image is not a usable RGB image, or the sequence would be too long.
        """
        started = time.perf_counter()
        inputs = self.processor(image, prompt)
        longest = self.model.config.max_position_embeddings
        if inputs.input_ids.shape[1] >= longest:
            raise InputError(
                "Image and words together are longer than the model can read",
                f"{inputs.input_ids.shape[1]} tokens, of {longest} possible",
                "ask in fewer words",
            )
        prepared = time.perf_counter()
        so_far: list[int] = []

        def on_token(token: int) -> None:
            so_far.append(token)
            if on_text is not None:
                on_text(self.processor.decode(so_far))

        with torch.inference_mode():
            out = greedy(
                self.model,
                inputs.to(self.model.device),
                self.processor.eos_id,
                min(max_new_tokens, longest - inputs.input_ids.shape[1]),
                should_stop,
                on_token,
                self.processor.digit_ids,
            )
        return Completion(
            text=self.processor.decode(out.token_ids),
            token_count=len(out.token_ids),
            finish_reason=out.finish_reason,
            timing_ms={
                "preprocess": (prepared - started) * 1e3,
                "prefill": out.prefill_ms,
                "decode": out.decode_ms,
            },
            tokens=tuple(self.processor.decode([token]) for token in out.token_ids),
            token_probabilities=tuple(out.probabilities),
            digit_probabilities=tuple(out.digit_probabilities),
        )


def load_backend(source: str | Path, *, device: str | None = None, quantization: str | None = None) -> MolmoBackend:
    """Loads a checkpoint.

    Args:
        source: A folder in the released layout, or a Hugging Face id that is already in the local
            cache or can be downloaded.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, …; None takes a GPU where there is one.
        quantization: None, ``"int8"`` or ``"nf4"`` (bitsandbytes; vision, embeddings and head stay
            in high precision).

    Raises:
        CheckpointError: Files are missing, broken, or not Molmo's.
        DependencyError: Quantisation was asked for without bitsandbytes.
        InputError: The device or the quantisation does not exist.
    """
    folder = _local_folder(source)
    chosen = _checked_device(device)
    processor = Processor.from_folder(folder)
    model = load_model(folder, chosen, _quantization_config(quantization))
    name = folder.name if isinstance(source, Path) else str(source)
    return MolmoBackend(model, processor, name, _measured_sigma_px(folder))


def _local_folder(source: str | Path) -> Path:
    if isinstance(source, Path) or Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.bin"]))
    except Exception as error:  # the hub raises a dozen kinds; to the user they are one
        raise CheckpointError(
            "The checkpoint is neither a local folder nor can it be fetched",
            f"{source}: {type(error).__name__}",
            "download it where there is a network and pass the folder, or use 'tabletop'",
        ) from error


def _checked_device(device: str | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        fix = "use 'cpu'" + (", or 'cuda'" if torch.cuda.is_available() else "; no GPU is usable here")
        raise InputError("There is no such device", f"{device!r}", fix) from error
    return chosen


def _quantization_config(quantization: str | None) -> Any:
    if quantization is None:
        return None
    if quantization not in ("int8", "nf4"):
        raise InputError("There is no such quantization", repr(quantization), "use 'int8', 'nf4' or None")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise DependencyError("Quantization needs bitsandbytes", str(error), "pip install bitsandbytes") from error
    from transformers import BitsAndBytesConfig

    # Full names: since transformers 5 a bare "ff_out" would also skip every block's projection,
    # and a bare "vision_backbone" would match nothing.
    keep = ["model.vision_backbone", "model.transformer.ff_out", "model.transformer.wte"]
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=keep)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=keep,
    )


def _measured_sigma_px(folder: Path) -> float:
    """What validation measured, from ``pointing.json`` beside the weights; NaN without it."""
    path = folder / "pointing.json"
    if not path.exists():
        return float("nan")
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["sigma_px_at_640"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            "The measured accuracy of this checkpoint cannot be read",
            f"{path}: {error}",
            "restore the file or delete it (a default is used then)",
        ) from error
