"""The model of a tuning run: base, adapters, trained parameters, and files."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from molmo_point.backend import resolve_checkpoint
from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.finetuning.parameter_groups import parameter_groups
from molmo_point.finetuning.run_settings import Lora, Stage, TuneSettings
from molmo_point.model.checkpoint.adapters import write_identity
from molmo_point.model.checkpoint.loading import bar_for_big_files
from molmo_point.model.checkpoint.quantization import allow_cpu_packing, is_quantized
from molmo_point.model.checkpoint.trust_file import write_training_description
from molmo_point.model.load import load_backend
from molmo_point.model.molmo_backend import MolmoBackend
from molmo_point.trust.training_description import UNDESCRIBED, TrainingDescription

DECODER = r".*blocks\.\d+\.(att_proj|attn_out|ff_proj|ff_out|mlp\.experts\.\d+\.\w+_proj)"
_VISION = r".*vision_backbone\..*\.w[qkvo123]"
TARGETS = {"decoder": DECODER, "all": f"{DECODER}|{_VISION}"}
"""Names of sets of linear layers to the regular expressions that find them; routers, embeddings and head never."""


class TrainedModel:
    """A Molmo with trained weights or adapters.

    Attributes:
        adapted: peft's model around it; None if the weights themselves are trained.
        trainable: Names of the parameters that training may change.
        base_training: Description of the training of the base.

    Raises:
        InputError: The base is no Molmo v1, or adapters find no layer.
        CheckpointError: The base cannot be loaded.
        DependencyError: peft or bitsandbytes is needed and missing.
    """

    def __init__(self, settings: TuneSettings) -> None:
        self.settings = settings
        source = resolve_checkpoint(settings.base)
        backend = load_backend(
            source,
            device=settings.device or None,
            quantization=settings.quantization or None,
            dtype=None if settings.lora is not None else "float32",
            max_crops=settings.max_crops,
        )
        if not isinstance(backend, MolmoBackend):
            fix = "train a Molmo2 with transformers; or choose a Molmo v1"
            raise InputError("The base must be a Molmo v1", f"{settings.base}, which answers as {backend.dialect}", fix)
        self.model, self.processor, self.adapted = backend.model, backend.processor, None
        self.base_training = backend.training
        self.device = next(self.model.parameters()).device
        if settings.lora is not None:
            # An embedded name or an id stays; a folder is named in full.
            is_folder = isinstance(source, Path) and Path(settings.base).is_dir()
            self._adapt(settings.lora, str(Path(source).resolve()) if is_folder else settings.base)
        if settings.gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.trainable = [name for name, p in self.model.named_parameters() if p.requires_grad]

    def groups(self, stage: Stage) -> dict[str, list[torch.nn.Parameter]]:
        """Return the parameters that a stage trains, by part of the model; InputError if nothing is left to train."""
        chosen = set(self.trainable)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in chosen)
        groups: dict[str, list[torch.nn.Parameter]] = {}
        for group, parameters in parameter_groups(self.model).items():
            mine = [p for p in parameters if p.requires_grad]
            if mine and self.settings.peak(stage, group) > 0:
                groups[group] = mine
            else:
                for parameter in mine:
                    parameter.requires_grad_(False)
        if not groups:
            targets = f"targets {self.settings.lora.targets!r}, " if self.settings.lora else ""
            given = f"stage {stage.stage}: {targets}rates {stage.rates}"
            raise InputError("Every stage must train something", given, "give a rate to a part that has adapters")
        return groups

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all tensors that training changes, by name."""
        parameters = dict(self.model.named_parameters())
        return {name: parameters[name].detach().contiguous() for name in self.trainable}

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        """Take over the tensors of `state_dict`; KeyError if they are of another model or other adapters."""
        if set(state_dict) != set(self.trainable):
            raise KeyError(f"{len(set(state_dict) ^ set(self.trainable))} tensors are of another model or other adapters")
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name in self.trainable:
                parameters[name].copy_(state_dict[name])

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Compute in bfloat16 on a GPU, where it is fast; parameters and their updates keep their type."""
        if self.device.type != "cuda":
            return contextlib.nullcontext()
        return torch.autocast("cuda", torch.bfloat16)

    def save(self, folder: Path, training: TrainingDescription) -> None:
        """Write the checkpoint or the adapter as a whole: the last one stays until the new one is complete.

        The measured error and the calibration of the base are not copied: they do not hold for the trained model.
        """
        part, old = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.old")
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        size = sum(p.numel() * p.element_size() for p in self.model.parameters() if self.adapted is None or p.requires_grad)
        with bar_for_big_files(size):
            (self.model if self.adapted is None else self.adapted).save_pretrained(part)
        if self.adapted is not None:
            write_identity(self.model, part)
        self.processor.save_pretrained(part)
        if training.to_settings() != UNDESCRIBED.to_settings():
            write_training_description(part, training)
        for path in part.iterdir():
            path.chmod(0o644)  # for others to read; safetensors keeps its files to their owner
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)

    def backend(self) -> MolmoBackend:
        """Return the model of this moment as a backend, in eval mode."""
        return MolmoBackend(self.model.eval(), self.processor, "tuned")

    def _adapt(self, lora: Lora, base: str) -> None:
        peft = require("peft", "An adapter", "train")
        torch.manual_seed(self.settings.seed)
        model: Any = self.model
        if is_quantized(model):
            allow_cpu_packing(model, False)  # packed weights pass no gradient
            model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        options = peft.LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=TARGETS.get(lora.targets, lora.targets),
            task_type="CAUSAL_LM",
        )
        try:
            self.adapted = peft.get_peft_model(model, options)
        except ValueError as error:
            fix = f"use one of {', '.join(TARGETS)}, or a regular expression over names of linear layers"
            given = f"lora.targets = {lora.targets!r}: {error}"
            raise InputError("The adapters must fit linear layers of the model", given, fix) from error
        self.adapted.peft_config["default"].base_model_name_or_path = base
