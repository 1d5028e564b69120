"""Molmo2 behind the interface of a backend: transformers' own model, without torchvision."""

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_point.backend import Backend, Growth, Limits, Prompt
from molmo_point.errors import CheckpointError, DependencyError, InputError
from molmo_point.model.checkpoint.quantization import allow_cpu_packing
from molmo_point.model.checkpoint.strict_loading import loading_error, refuse_wrong_keys
from molmo_point.model.checkpoint.weight_files import weights_of
from molmo_point.model.decoding.greedy import Generated, greedy
from molmo_point.model.load import CheckpointSource, fewer_crops
from molmo_point.model.molmo2.molmo2_processor import Molmo2Processor
from molmo_point.results import Completion
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

SKIPPED_MODULES = ("model.vision_tower", "model.multi_modal_projector", "model.language_model.embed_tokens", "lm_head")
"""Modules that keep high precision under quantization."""


class Molmo2Backend(Backend):
    """Molmo2 with its processor.

    Args:
        model: transformers' ``Molmo2ForConditionalGeneration``, in eval mode.
        processor: Its tokenizer, chat template and image settings.
        name: Name that results carry.
        sigma_px: Measured standard deviation of its points, in pixels of an image 640 pixels wide; NaN if not measured.
        calibration: Calibration of its probabilities.
    """

    dialect = "molmo2"

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

    def answers(self, image: np.ndarray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        """Answer prompts one after another, greedily; a growth follows every token. Arguments and errors as `Backend.answers`."""
        for index, prompt in enumerate(prompts):
            started = time.perf_counter()
            inputs = self.processor(image, prompt.text)
            length = inputs["input_ids"].shape[1]
            longest = self.model.config.text_config.max_position_embeddings
            if length >= longest:
                given = f"{length} tokens, of {longest} possible"
                raise InputError("image and words must fit into the model's context", given, "ask in fewer words")
            preprocess_ms = (time.perf_counter() - started) * 1e3
            placed = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
            room = min(limits.max_new_tokens, longest - length)
            for out in greedy(self.model, placed, self.eos_ids, room, self.processor.digit_ids):
                ids = list(out.token_ids)
                snapshot = partial(self._completion, out, ids, out.finish_reason or "unfinished", preprocess_ms)
                yield Growth(index, self.processor.decode(ids), bool(out.finish_reason), snapshot)

    def _completion(self, out: Generated, ids: list[int], finish_reason: str, preprocess_ms: float) -> Completion:
        decode, count = self.processor.decode, len(ids)
        return Completion(
            text=decode(ids),
            token_count=count,
            finish_reason=finish_reason,
            timing_ms={"preprocess": preprocess_ms, "prefill": out.prefill_ms, "decode": out.decode_ms},
            tokens=tuple(decode([token]) for token in ids),
            token_probabilities=tuple(out.probabilities[:count]),
            digit_probabilities=tuple(out.digit_probabilities[:count]),
        )


def load_molmo2_backend(source: CheckpointSource) -> Molmo2Backend:
    """Load a Molmo2 checkpoint; errors as `load_molmo2`, and InputError for an adapter or an impossible ``max_crops``."""
    if source.adapter is not None:
        given = f"{source.folder} is a Molmo2"
        raise InputError("adapter must belong to a Molmo v1 checkpoint", given, "merge it with peft, and load the result")
    processor = Molmo2Processor.from_folder(source.folder)
    processor.layout = replace(processor.layout, max_crops=fewer_crops(source.max_crops, processor.layout.max_crops))
    model = load_molmo2(source.folder, source.device, source.quantization, source.dtype)
    return Molmo2Backend(model, processor, source.name, source.sigma_px, source.calibration)


def load_molmo2(folder: Path, device: torch.device, quantization: Any = None, dtype: torch.dtype = torch.float32) -> Any:
    """Load ``Molmo2ForConditionalGeneration`` in eval mode, strictly and without remote code.

    The skip list of the quantization is set here; ``dtype`` is the precision of unquantized weights.

    Raises:
        CheckpointError: A file is missing or broken, or weights and configuration do not match.
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
    except Exception as error:  # files, shapes and libraries raise many kinds with three meanings
        raise loading_error(error, folder) from error
    model, report = loaded
    refuse_wrong_keys(report, folder)
    if not quantized:
        return model.eval().to(device)
    allow_cpu_packing(model)
    return model.eval()


def _end_ids(model: Any, processor: Molmo2Processor) -> tuple[int, ...]:
    """List the tokens that end an answer: those of the tokenizer and of the generation config."""
    own: Any = processor.tokenizer.eos_token_id
    named = getattr(model.generation_config, "eos_token_id", None)
    more = named if isinstance(named, (list, tuple)) else [named]
    return tuple({int(token) for token in (own, *more) if token is not None})
