"""A loaded checkpoint behind the one method that the rest of the SDK uses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_point.backend import resolve_checkpoint
from molmo_point.errors import CheckpointError, InputError
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.checkpoint.adapters import base_of, is_adapter, with_adapter
from molmo_point.model.checkpoint.loading import checked_dtype, load_model
from molmo_point.model.checkpoint.local_folder import local_folder
from molmo_point.model.checkpoint.quality_file import measured_quality
from molmo_point.model.checkpoint.quantization import allow_cpu_packing, default_quantization, is_quantized
from molmo_point.model.checkpoint.weight_files import read_json, words_of
from molmo_point.model.decoding.engine import Answer, AnswerEngine, Options
from molmo_point.model.decoding.spread import Spread
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.molmo2.backend import Molmo2Backend, load_molmo2
from molmo_point.model.molmo2.molmo2_processor import Molmo2Processor
from molmo_point.results import Completion
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

FAMILIES = ("molmo", "molmo2")
_FILES = ["*.json", "*.safetensors", "*.txt", "*.bin", "*.jinja"]
_SUPPORTED = "MolmoE-1B, Molmo-7B-O, Molmo-7B-D, Molmo-72B, Molmo2-4B, Molmo2-8B, Molmo2-O-7B or the embedded 'tabletop'"


class MolmoBackend:
    """Molmo with its processor.

    Args:
        model: The model, in eval mode.
        processor: Its tokenizer and image settings.
        name: What results call it.
        sigma_px: Standard deviation of its points along u and v in pixels of an image 640 pixels
            wide, as measured on validation scenes; NaN where nobody measured it.
        options: What decoding may do to be fast; no setting changes the words.
        calibration: What its statements about itself turned out to mean on validation scenes.
    """

    family = "molmo"

    def __init__(
        self,
        model: MolmoForCausalLM,
        processor: MolmoProcessor,
        name: str,
        sigma_px: float = float("nan"),
        options: Options | None = None,
        calibration: Calibration = UNCALIBRATED,
    ) -> None:
        self.model = model
        self.processor = processor
        self.name = name
        self.sigma_px = sigma_px
        self.calibration = calibration
        self.engine = AnswerEngine(model, processor, options)

    def generate(
        self,
        image: np.ndarray,
        prompt: str,
        *,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """Answers a prompt about an image: the words of greedy decoding, in fewer passes.

        Args:
            image: (h, w, 3) uint8 RGB.
            prompt: What the user says.
            max_new_tokens: Most tokens to generate.
            should_stop: Asked before every pass; True ends the completion as ``"cancelled"``.
            on_text: Told the whole text so far whenever it has grown.

        Raises:
            InputError: The image is not a usable RGB image, or the sequence would be too long.
        """
        told = None if on_text is None else lambda _, text: on_text(text)
        return self.generate_many(image, (prompt,), max_new_tokens=max_new_tokens, should_stop=should_stop, on_text=told)[0]

    def generate_many(
        self,
        image: np.ndarray,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        should_stop: Callable[[], bool] | None = None,
        on_text: Callable[[int, str], None] | None = None,
    ) -> tuple[Completion, ...]:
        """Answers several prompts about one image in one batch; the image is read once.

        Arguments and errors as `generate`; ``on_text`` is told the index of the prompt first. The
        times of a batch are those of the whole batch.
        """
        answers = self.engine.answer(image, prompts, max_new_tokens=max_new_tokens, should_stop=should_stop, on_text=on_text)
        return tuple(self._completion(answer) for answer in answers)

    def spreads(self, image: np.ndarray, prompt: str, completion: Completion) -> tuple[Spread, ...]:
        """How the probability of each point of a completion is spread over the image.

        Costs three passes a point.

        Args:
            image: The image that was asked about.
            prompt: The prompt.
            completion: What `generate` gave.

        Returns:
            One for each pair of coordinates in the order of the text; empty where the tokenizer
            joins digits.
        """
        return self.engine.spreads(image, prompt, completion.text)

    def _completion(self, answer: Answer) -> Completion:
        row, decode = answer.row, self.processor.decode
        return Completion(
            text=decode(row.token_ids),
            token_count=len(row.token_ids),
            finish_reason=row.finish_reason,
            timing_ms={"preprocess": answer.preprocess_ms, "prefill": answer.prefill_ms, "decode": answer.decode_ms},
            tokens=_pieces(decode, row.token_ids),
            token_probabilities=tuple(row.probabilities),
            digit_probabilities=tuple(row.digit_probabilities),
            absent_probability=row.absent_probability,
            passes=row.passes,
        )


def _pieces(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token; a character of several tokens is that of its last one."""
    pieces = tuple(decode([token]) for token in ids)
    if not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces):
        return pieces
    whole, told, grown = decode(ids), 0, []
    for end in range(1, len(ids) + 1):
        known = len(decode(ids[:end]).rstrip("\N{REPLACEMENT CHARACTER}")) if end < len(ids) else len(whole)
        grown.append(whole[told:known])
        told = max(told, known)
    return tuple(grown)


def load_backend(
    source: str | Path,
    *,
    device: str | None = None,
    quantization: str | None = None,
    dtype: str | None = None,
    max_crops: int | None = None,
    adapter: str | Path | None = None,
) -> MolmoBackend | Molmo2Backend:
    """Loads a checkpoint of any family that this package runs, told by its ``config.json``.

    Args:
        source: A folder in the released layout, or a Hugging Face id that is already in the local
            cache or can be downloaded.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, …; None takes a GPU where there is one.
        quantization: None, ``"int8"`` or ``"nf4"`` (bitsandbytes; vision, embeddings and head stay
            in high precision).
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"`` for what is not quantized; None takes
            float32 on a CPU and bfloat16 on a GPU.
        max_crops: Most high-resolution crops of an image, fewer than the checkpoint's for speed at
            the cost of detail; None leaves it as the checkpoint has it.
        adapter: Folder of a PEFT adapter of the checkpoint, as ``molmo-point train`` saves it; ``source``
            itself may be one, too. It is added to the weights, or stays beside them where those are quantized.

    Raises:
        CheckpointError: Files are missing, broken, or of no model that can be run; or the adapter is of another.
        DependencyError: Quantisation was asked for without bitsandbytes, or transformers is too
            old for the model.
        InputError: The device, the quantisation or the dtype does not exist, or max_crops is none
            that the model can look at.
    """
    chosen = _checked_device(device)
    precision = checked_dtype(dtype, chosen)
    reduced = None if quantization is None else default_quantization(quantization, precision)
    folder, adapter = _parts(source, adapter)
    family = checkpoint_family(folder)
    name = Path(source).name if isinstance(source, Path) else str(source)
    # What was measured of the base says nothing about what an adapter makes of it.
    sigma_px, calibration = measured_quality(adapter or folder)
    if family == "molmo2":
        if adapter is not None:
            raise InputError("Adapters are for Molmo v1", f"{folder} is a Molmo2", "merge it with peft, and load the result")
        molmo2 = Molmo2Processor.from_folder(folder)
        molmo2.layout = replace(molmo2.layout, max_crops=_fewer(max_crops, molmo2.layout.max_crops))
        return Molmo2Backend(load_molmo2(folder, chosen, reduced, precision), molmo2, name, sigma_px, calibration)
    processor = _processor(folder, adapter, max_crops)
    model = load_model(folder, chosen, reduced, precision)
    if adapter is not None:
        model = with_adapter(model, adapter, is_quantized(model))
    if reduced is not None:
        allow_cpu_packing(model)
    return MolmoBackend(model, processor, name, sigma_px, calibration=calibration)


def _parts(source: str | Path, adapter: str | Path | None) -> tuple[Path, Path | None]:
    """Folders of the checkpoint and of its adapter, where ``source`` may be the adapter itself."""
    folder = local_folder(source, _FILES)
    if adapter is None and is_adapter(folder):
        return local_folder(resolve_checkpoint(base_of(folder)), _FILES), folder
    return folder, None if adapter is None else Path(adapter)


def _processor(folder: Path, adapter: Path | None, max_crops: int | None) -> MolmoProcessor:
    """That of the checkpoint; or of its adapter, which may have been trained with fewer crops."""
    own = adapter is not None and (adapter / "preprocessor_config.json").exists()
    processor = MolmoProcessor.from_pretrained(adapter if own and adapter else folder)
    processor.layout = processor.layout.with_max_crops(_fewer(max_crops, processor.layout.max_crops))
    return processor


def _fewer(max_crops: int | None, trained: int) -> int:
    """The number of crops to use: as trained, or fewer."""
    if max_crops is None:
        return trained
    if isinstance(max_crops, bool) or not isinstance(max_crops, int) or not min(1, trained) <= max_crops <= trained:
        wanted = f"a whole number from 1 to {trained}" if trained else "0: this model sees the image as one overview"
        raise InputError("max_crops is not what the model was trained for", repr(max_crops), f"use {wanted}, or leave it out")
    return max_crops


def checkpoint_family(folder: Path) -> str:
    """``"molmo"`` or ``"molmo2"``: what the checkpoint's ``config.json`` says it is.

    Raises:
        CheckpointError: There is no such file, it is broken, or it is of a model that cannot be run.
    """
    path = folder / "config.json"
    try:
        data: Any = read_json(path)
    except FileNotFoundError as error:
        fix = "pass the folder that holds the model's files"
        raise CheckpointError("The checkpoint has no config.json", str(folder), fix) from error
    except (ValueError, OSError) as error:
        raise CheckpointError("config.json cannot be read", f"{path}: {words_of(error)}", "download the file again") from error
    kind = data.get("model_type") if isinstance(data, dict) else type(data).__name__
    if kind in FAMILIES:
        return str(kind)
    if kind == "molmo_point":
        raise CheckpointError(
            "MolmoPoint models need code from their own repository to run, and this package runs no remote code",
            f"{path}: model_type {kind!r}",
            "use a Molmo or Molmo2 checkpoint; MolmoPoint's answers can be read with molmo_point.points.parse",
        )
    raise CheckpointError("This is no checkpoint of the Molmo family", f"{path}: model_type {kind!r}", f"use one of {_SUPPORTED}")


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
