"""Molmo v1 behind the interface of a backend."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from molmo_point.backend import Growth, Limits, PointSpread, Prompt
from molmo_point.errors import CheckpointError
from molmo_point.model.architecture.causal_lm import MolmoForCausalLM
from molmo_point.model.architecture.config import MolmoConfig, MolmoVisionConfig, load_config
from molmo_point.model.checkpoint.adapters import with_adapter
from molmo_point.model.checkpoint.loading import load_model
from molmo_point.model.checkpoint.quantization import allow_cpu_packing, is_quantized
from molmo_point.model.decoding.decoder import Row
from molmo_point.model.decoding.engine import AnswerEngine, Growing, Options
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.tokenizer_files import check_tokenizer
from molmo_point.model.load import CheckpointSource, fewer_crops
from molmo_point.model.local_backend import LocalBackend
from molmo_point.patch_features import PatchFeatures
from molmo_point.results import Completion, PointMode
from molmo_point.trust.confidence_calibration import UNCALIBRATED, Calibration

_TOKENS_OF_A_QUESTION = 32


class MolmoBackend(LocalBackend):
    """Molmo v1 with its processor: the tokens of greedy decoding, in fewer passes.

    Args:
        model: The model, in eval mode.
        processor: Its tokenizer and image settings.
        name: Name that results carry.
        sigma_px: Measured standard deviation of its points, in pixels of an image 640 pixels wide; NaN if not measured.
        options: Speed-ups that decoding may use; no setting changes a token.
        calibration: Calibration of its probabilities.
    """

    batches = True
    tells_spread = True

    def __init__(
        self,
        model: MolmoForCausalLM,
        processor: MolmoProcessor,
        name: str,
        sigma_px: float = float("nan"),
        options: Options | None = None,
        calibration: Calibration = UNCALIBRATED,
    ) -> None:
        super().__init__(model, processor, name, sigma_px, calibration)
        self.engine = AnswerEngine(model, processor, options)

    def answers(self, image: np.ndarray, prompts: Sequence[Prompt], limits: Limits) -> Iterator[Growth]:
        """Answer prompts about one image in one batch; a growth follows every pass. Arguments and errors as `Backend.answers`."""
        done: set[int] = set()
        self.engine.keeps_features = self.training.needs_features
        for state in self.engine.answers(image, prompts, limits.max_new_tokens):
            for index, row in enumerate(state.rows):
                if index in done:
                    continue
                if row.finish_reason:
                    done.add(index)
                label = {"label": row.label, "label_is_whole": row.label_is_whole}
                yield self.growth(index, row, partial(_measured, state, row), **label)

    def image_features(self, image: np.ndarray) -> PatchFeatures | None:
        """Return the vision features of an image; arguments and errors as `Backend.image_features`."""
        return self.engine.features_of(image)

    def spreads(self, image: np.ndarray, prompt: Prompt, completion: Completion) -> tuple[PointSpread, ...]:
        """Tell the distribution of each point of a completion, at three passes a point."""
        height, width = np.asarray(image).shape[:2]
        scale = np.array((width, height), float) / 100

        def in_pixels(mode) -> PointMode:
            u, v = mode.mean * scale - 0.5
            return PointMode(mode.weight, float(u), float(v), mode.covariance * np.outer(scale, scale))

        found = self.engine.spreads(image, prompt, completion.text)
        return tuple(PointSpread(spread.written, tuple(map(in_pixels, spread.modes))) for spread in found)

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token; a character of several tokens belongs to the last one."""
        pieces, decode = super().token_texts(ids), self.processor.decode
        if not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces):
            return pieces
        whole, told, grown = decode(ids), 0, []
        for end in range(1, len(ids) + 1):
            known = len(decode(ids[:end]).rstrip("\N{REPLACEMENT CHARACTER}")) if end < len(ids) else len(whole)
            grown.append(whole[told:known])
            told = max(told, known)
        return tuple(grown)


def load_molmo(source: CheckpointSource) -> MolmoBackend:
    """Load a Molmo v1 checkpoint; CheckpointError for broken files, InputError for an impossible ``max_crops``."""
    processor = _processor(source)
    _check_processor(processor, load_config(source.folder), source)
    model = load_model(source.folder, source.device, source.quantization, source.dtype)
    if source.adapter is not None:
        model = with_adapter(model, source.adapter, is_quantized(model))
    if source.quantization is not None:
        allow_cpu_packing(model)
    return MolmoBackend(model, processor, source.name, source.sigma_px, calibration=source.calibration)


def _processor(source: CheckpointSource) -> MolmoProcessor:
    """Load the processor of the checkpoint, or that of its adapter, which may use fewer crops."""
    adapter = source.adapter
    own = adapter is not None and (adapter / "preprocessor_config.json").exists()
    processor = MolmoProcessor.from_pretrained(adapter if own and adapter else source.folder)
    processor.layout = processor.layout.with_max_crops(fewer_crops(source.max_crops, processor.layout.max_crops))
    return processor


def _check_processor(processor: MolmoProcessor, config: MolmoConfig, source: CheckpointSource) -> None:
    """Check that tokenizer and crops are those of the model; a CheckpointError names what differs."""
    vision, layout, folder = config.vision_config, processor.layout, source.adapter or source.folder
    assert isinstance(vision, MolmoVisionConfig) and config.embedding_size is not None
    head_rows = config.embedding_size
    check_tokenizer(processor.tokenizer, head_rows + config.additional_vocab_size, head_rows, folder)
    if (layout.crop_px, layout.patch_px) != (vision.image_size, vision.patch_size):
        given = (
            f"{folder}: {layout.crop_px} and {layout.patch_px} px, config.json has {vision.image_size} and {vision.patch_size}"
        )
        fix = "use preprocessor_config.json and config.json of the same checkpoint"
        raise CheckpointError("Crops and patches must have the sizes of the model", given, fix)
    longest = min(config.max_position_embeddings, processor.max_length or config.max_position_embeddings)
    if longest < layout.tokens * (layout.tokens + 1) + _TOKENS_OF_A_QUESTION:
        given = f"{folder}: a context of {longest} tokens, an overview of {layout.tokens} x {layout.tokens}"
        raise CheckpointError("The context must hold an image and a question", given, "download config.json again")


def _measured(state: Growing, row: Row) -> dict[str, Any]:
    return {
        "timing_ms": state.timing_ms,
        "absent_probability": row.absent_probability,
        "passes": row.passes,
        "features": state.features,
    }
