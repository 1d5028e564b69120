"""Molmo2 as the rest of the SDK uses it: transformers' own model, without its need for torchvision."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_point.errors import CheckpointError, DependencyError
from molmo_point.model.checkpoint.quantization import allow_cpu_packing
from molmo_point.model.checkpoint.strict_loading import refuse_wrong_keys
from molmo_point.model.checkpoint.weight_files import weights_of
from molmo_point.model.molmo2.completion import complete
from molmo_point.model.molmo2.molmo2_processor import Molmo2Processor
from molmo_point.results import Completion
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

SKIPPED_MODULES = ("model.vision_tower", "model.multi_modal_projector", "model.language_model.embed_tokens", "lm_head")
"""What quantization leaves in high precision."""


class Molmo2Backend:
    """Molmo2 with its processor; its answers say 0 to 1000 where Molmo's say per cent.

    Args:
        model: transformers' ``Molmo2ForConditionalGeneration``, in eval mode.
        processor: Its tokenizer, chat template and image settings.
        name: What results call it.
        sigma_px: Standard deviation of its points along u and v in pixels of an image 640 pixels
            wide, as measured on validation scenes; NaN where nobody measured it.
        calibration: What its statements about itself turned out to mean there.
    """

    family = "molmo2"

    def __init__(
        self,
        model: Any,
        processor: Molmo2Processor,
        name: str,
        sigma_px: float = float("nan"),
        calibration: Calibration = UNCALIBRATED,
    ) -> None:
        self.model = model
        self.processor = processor
        self.name = name
        self.sigma_px = sigma_px
        self.calibration = calibration
        self.eos_ids = _end_ids(model, processor)

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
            prompt: What the user says, without the turn's frame.
            max_new_tokens: Most tokens to generate.
            should_stop: Asked before every token; True ends the completion as ``"cancelled"``.
            on_text: Told the whole text so far whenever it has grown.

        Raises:
            InputError: The image is not a usable RGB image, the words hold a control token, or the
                sequence would be too long.
        """
        return complete(
            self.model,
            lambda: self.processor(image, prompt),
            self.processor,
            eos_ids=self.eos_ids,
            longest=self.model.config.text_config.max_position_embeddings,
            max_new_tokens=max_new_tokens,
            should_stop=should_stop,
            on_text=on_text,
        )


def load_molmo2(folder: Path, device: torch.device, quantization: Any = None, dtype: torch.dtype = torch.float32) -> Any:
    """Loads a Molmo2 checkpoint strictly; remote code that it names is never run.

    Args:
        folder: With ``config.json`` and the weights, in the released layout or as transformers saves it.
        device: Where to.
        quantization: A transformers quantization configuration, of which what it skips is set here; or None.
        dtype: Precision of what is not quantized.

    Returns:
        ``Molmo2ForConditionalGeneration`` in eval mode.

    Raises:
        CheckpointError: A file is missing or broken, or weights and configuration do not fit.
        DependencyError: transformers is too old for Molmo2, or a library is missing.
    """
    try:
        from transformers import Molmo2Config, Molmo2ForConditionalGeneration
    except ImportError as error:
        raise DependencyError("This transformers does not know Molmo2", str(error), "pip install -U transformers") from error
    try:
        config = Molmo2Config.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # strict dataclasses raise their own kinds
        given = f"{folder / 'config.json'}: {error}"
        raise CheckpointError("config.json holds values that make no Molmo2", given, "download the file again") from error
    problems = weights_of(folder).problems
    if problems:
        given = f"{folder / problems[0].file}: {problems[0].text}"
        raise CheckpointError("The weights cannot be read", given, problems[0].fix)
    quantized = quantization is not None or getattr(config, "quantization_config", None) is not None
    options: dict[str, Any] = {"device_map": {"": device}} if quantized else {}
    if quantization is not None:
        options["quantization_config"] = copy.deepcopy(quantization)
        options["quantization_config"].llm_int8_skip_modules = list(SKIPPED_MODULES)
    try:
        loaded: Any = Molmo2ForConditionalGeneration.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            local_files_only=True,
            trust_remote_code=False,
            **options,
        )
    except ImportError as error:
        raise DependencyError("Loading needs a library that is missing", str(error), "install it with pip") from error
    except Exception as error:  # truncated shards, missing files, broken ones: many kinds, one meaning
        given = f"{folder}: {error}"
        raise CheckpointError("The weights cannot be loaded", given, "download the checkpoint's files again") from error
    model, report = loaded
    refuse_wrong_keys(report, folder)
    if not quantized:
        return model.eval().to(device)
    allow_cpu_packing(model)
    return model.eval()


def _end_ids(model: Any, processor: Molmo2Processor) -> tuple[int, ...]:
    """What ends an answer: the tokenizer's own end, and those that the checkpoint names for generation."""
    own: Any = processor.tokenizer.eos_token_id
    named = getattr(model.generation_config, "eos_token_id", None)
    more = named if isinstance(named, (list, tuple)) else [named]
    return tuple({int(token) for token in (own, *more) if token is not None})
