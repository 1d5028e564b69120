"""Molmo2 behind the interface of a backend: transformers' own model, without torchvision."""

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_point.backend import Growth, Limits, Prompt
from molmo_point.errors import CheckpointError, DependencyError, InputError
from molmo_point.model.checkpoint.config_bounds import check_bounds
from molmo_point.model.checkpoint.finite_weights import FiniteWeights
from molmo_point.model.checkpoint.quantization import allow_cpu_packing, check_layers, is_quantized, unify_precision
from molmo_point.model.checkpoint.released_config import read_config
from molmo_point.model.checkpoint.strict_loading import loading_error, located, refuse_wrong_keys
from molmo_point.model.checkpoint.weight_checks import check_generation
from molmo_point.model.checkpoint.weight_files import weights_of
from molmo_point.model.decoding.greedy import Generated, greedy
from molmo_point.model.inputs.tokenizer_files import check_tokenizer
from molmo_point.model.load import CheckpointSource, fewer_crops
from molmo_point.model.local_backend import LocalBackend
from molmo_point.model.molmo2.molmo2_processor import Molmo2Processor

SKIPPED_MODULES = ("model.vision_tower", "model.multi_modal_projector", "model.language_model.embed_tokens", "lm_head")
"""Modules that keep high precision under quantization."""


class Molmo2Backend(LocalBackend):
    """Molmo2 with its processor: transformers' ``Molmo2ForConditionalGeneration`` and a `Molmo2Processor`."""

    dialect = "molmo2"

    @cached_property
    def eos_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer: those of the tokenizer and of the generation config."""
        own: Any = self.processor.tokenizer.eos_token_id
        named = getattr(self.model.generation_config, "eos_token_id", None)
        more = named if isinstance(named, (list, tuple)) else [named]
        return tuple({int(token) for token in (own, *more) if token is not None})

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
                yield self.growth(index, out, partial(_measured, out, preprocess_ms))


def load_molmo2_backend(source: CheckpointSource) -> Molmo2Backend:
    """Load a Molmo2 checkpoint; errors as `load_molmo2`, and InputError for an adapter or an impossible ``max_crops``."""
    if source.adapter is not None:
        given = f"{source.folder} is a Molmo2"
        raise InputError("adapter must belong to a Molmo v1 checkpoint", given, "merge it with peft, and load the result")
    processor = Molmo2Processor.from_folder(source.folder)
    processor.check_turn()
    processor.layout = replace(processor.layout, max_crops=fewer_crops(source.max_crops, processor.layout.max_crops))
    model = load_molmo2(source.folder, source.device, source.quantization, source.dtype, processor)
    return Molmo2Backend(model, processor, source.name, source.sigma_px, source.calibration)


def load_molmo2(
    folder: Path,
    device: torch.device,
    quantization: Any = None,
    dtype: torch.dtype = torch.float32,
    processor: Molmo2Processor | None = None,
) -> Any:
    """Load ``Molmo2ForConditionalGeneration`` in eval mode, strictly and without remote code.

    The skip list of the quantization is set here. A ``processor`` is compared with the model.

    Raises:
        CheckpointError: A file is missing or broken, or weights and configuration do not match.
        DependencyError: transformers is too old for Molmo2, or a library is missing.
    """
    try:
        from transformers import Molmo2Config, Molmo2ForConditionalGeneration
    except ImportError as error:
        raise DependencyError("This transformers does not know Molmo2", str(error), "pip install -U transformers") from error
    config = _read_config(folder, Molmo2Config)
    _check_files(folder, config, Molmo2ForConditionalGeneration, processor)
    quantized = quantization is not None or getattr(config, "quantization_config", None) is not None
    options: dict[str, Any] = {"device_map": {"": device}} if quantized else {}
    if quantization is not None:
        options["quantization_config"] = _with_skips(quantization)
    model_class: Any = type(Molmo2ForConditionalGeneration.__name__, (FiniteWeights, Molmo2ForConditionalGeneration), {})
    try:
        loaded: Any = model_class.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            local_files_only=True,
            trust_remote_code=False,
            **options,
        )
    except CheckpointError as error:
        raise located(error, folder) from error
    except Exception as error:  # files, shapes and libraries raise many kinds with three meanings
        raise loading_error(error, folder) from error
    model, report = loaded
    refuse_wrong_keys(report, folder)
    if is_quantized(model):
        check_layers(model)
        unify_precision(model)
    allow_cpu_packing(model)
    return model.eval() if quantized else model.eval().to(device)


def _with_skips(quantization: Any) -> Any:
    chosen = copy.deepcopy(quantization)
    chosen.llm_int8_skip_modules = list(SKIPPED_MODULES)
    return chosen


def _read_config(folder: Path, config_class: Any) -> Any:
    """Read ``config.json``; CheckpointError if a number is out of bounds, or the values make no Molmo2."""
    try:
        check_bounds(read_config(folder))
        return config_class.from_pretrained(folder, local_files_only=True)
    except CheckpointError as error:
        raise located(error, folder / "config.json") from error
    except Exception as error:  # strict dataclasses raise their own kinds
        given = f"{folder / 'config.json'}: {error}"
        raise CheckpointError("config.json holds values that make no Molmo2", given, "download the file again") from error


def _check_files(folder: Path, config: Any, model_class: Any, processor: Molmo2Processor | None) -> None:
    """Check files, sizes and processor before memory is taken; a CheckpointError names the first fault."""
    weights = weights_of(folder)
    for problem in weights.problems:
        raise CheckpointError("The weights cannot be read", f"{folder / problem.file}: {problem.text}", problem.fix)
    check_generation(folder)
    if processor is not None:
        text, layout = config.text_config, processor.layout
        check_tokenizer(processor.tokenizer, text.vocab_size + text.additional_vocab_size, text.vocab_size, folder)
        if layout.patch_size != config.vision_config.patch_size:
            given = f"{folder}: patches of {layout.patch_size} px, config.json has {config.vision_config.patch_size}"
            fix = "use preprocessor_config.json and config.json of the same checkpoint"
            raise CheckpointError("Patches must have the size of the model", given, fix)
    if getattr(config, "quantization_config", None) is not None:
        return
    try:
        with torch.device("meta"):
            wanted = sum(parameter.numel() for parameter in model_class(config).parameters())
    except Exception as error:  # sizes that do not match raise many kinds
        given = f"{folder / 'config.json'}: {error}"
        raise CheckpointError("config.json holds values that make no Molmo2", given, "download the file again") from error
    stored = sum(tensor.size for tensor in weights.tensors.values())
    # Tied weights are stored once or twice; transformers would fill what is missing with random numbers.
    if not wanted / 2 <= stored <= 2 * wanted:
        given = f"{folder}: the files hold {stored} numbers, config.json describes a model of {wanted}"
        raise CheckpointError("The weights must match the configuration", given, "use config.json and weights of one checkpoint")


def _measured(out: Generated, preprocess_ms: float) -> dict[str, Any]:
    return {"timing_ms": {"preprocess": preprocess_ms, "prefill": out.prefill_ms, "decode": out.decode_ms}}
