"""Training of the embedded models from nothing: first to see, then to describe and to point."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from lab.features.transplant import set_stem, transplant
from lab.training.batches import draw_batch
from lab.training.checks import SEEING_COLUMNS, TOPIC_COLUMNS, seeing_scores, topic_scores
from lab.training.growth import grow
from lab.training.initial import SIZES, ModelSize, embedded_config, initial_model, write_preprocessor_config
from lab.training.losses import AuxiliaryHeads, SoftTokenLoss
from lab.training.settings import PretrainSettings
from lab.training.steps import pointing_losses, seeing_losses
from lab.training.tokenizer import corpus_of, train_tokenizer
from lab.training.views import MixedViews, SceneViews, ViewSource
from molmo_point.finetuning.loop import Losses, TrainingLoop, TrainingTask
from molmo_point.finetuning.parameter_groups import parameter_groups
from molmo_point.finetuning.state import images_done, record_settings, refuse_another_run
from molmo_point.model.architecture.config import load_config
from molmo_point.model.checkpoint.loading import load_model
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import token_places

_LOSSES = ("class_patch", "outline", "class_token", "position", "token", "attention", "mention", "answer")

_HEADS_RATE = 2e-3


class PretrainingTask(TrainingTask):
    """Rendered scenes and a new model to train on them.

    Args:
        settings: Settings of the run; `prepare` has written its tokenizer.
        rank: Number of this worker; gradients are averaged between the workers.

    Attributes:
        model: The model.
        heads: Linear read-outs for auxiliary losses.

    Raises:
        InputError: A folder holds no scenes.
    """

    columns = ("scenes", *_LOSSES, *SEEING_COLUMNS, *TOPIC_COLUMNS)

    def __init__(self, settings: PretrainSettings, rank: int = 0) -> None:
        self.settings: PretrainSettings = settings
        self.rank, self.total_steps = rank, settings.total_steps
        household = SceneViews(Path(settings.scenes))
        self.source: ViewSource = household
        if settings.also:
            self.source = MixedViews(household, SceneViews(Path(settings.also)), settings.also_share)
        self.validation = SceneViews(Path(settings.scenes), validation=True)
        self.processor = MolmoProcessor.from_pretrained(self.folder)
        size = SIZES[settings.size]
        config = embedded_config(self.processor.eos_id, size, settings.stem)
        self.model = initial_model(config, settings.seed)
        self.heads = AuxiliaryHeads(config, size.attention_layers, self.source.classes)
        if settings.stem:
            set_stem(self.model, settings.stem)
        if not images_done(Path(settings.out)):
            self._begin()
        self.parts = {"model": self.model, "heads": self.heads}
        characters = {c: self.processor.encode_text(c)[0] for c in '0123456789."'}
        self._token_loss = SoftTokenLoss(characters, settings.coordinate_weight, settings.distance_weight)
        self._places = token_places(0, 0, size.layout)
        self._parent = os.getppid()

    def _begin(self) -> None:
        """Give the weights of the checkpoint to start from to the new model."""
        start = Path(self.settings.start)
        if self.settings.start and self.settings.stem:
            transplant(self.model, load_model(start, torch.device("cpu")), self.source, self.processor.layout)
        elif self.settings.start:
            grow(self.model, self.processor.tokenizer, start)

    @property
    def folder(self) -> Path:
        """Folder of the checkpoint."""
        return _checkpoint(self.settings)

    def stage(self, step: int) -> str:
        """Return the phase that a step belongs to."""
        return self.settings.phase(step * self.settings.batch)

    def trained(self, step: int) -> dict[str, list[torch.nn.Parameter]]:
        """Return all parameters, by part of the model."""
        return {**parameter_groups(self.model), "heads": list(self.heads.parameters())}

    def rates(self, step: int) -> Mapping[Any, float]:
        """Return the learning rate of a step, one for all parts."""
        images_seen = step * self.settings.batch
        rate = _HEADS_RATE if images_seen < self.settings.head_images else self.settings.rate(images_seen)
        return dict.fromkeys(self.trained(step), rate)

    def losses(self, step: int, rng: np.random.Generator) -> Iterator[Losses]:
        """Yield the losses of this worker's share of a step."""
        settings, images_seen = self.settings, step * self.settings.batch
        seeing, share = self.stage(step) == "see", settings.batch // settings.workers
        lesson, questions = settings.lesson(images_seen), 1 if seeing else settings.questions
        batch = draw_batch(self.source, self.processor, self._places, share, questions, rng, lesson)
        heads_alone = images_seen < settings.head_images
        if seeing or heads_alone:
            yield seeing_losses(self.model, self.heads, batch, heads_alone)
            return
        scale = 1.0 if settings.pointed(images_seen) < settings.auxiliary_share else 0.1
        yield pointing_losses(self.model, self.heads, self._token_loss, batch, scale)

    def reduce_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        """Average the gradients of all workers."""
        if self.settings.workers == 1:
            return
        if os.getppid() != self._parent:
            raise SystemExit("the process that started this worker has ended")
        # A parameter that took no part in this phase has no gradient on any worker.
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.settings.workers
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def check(self, step: int) -> dict[str, Any]:
        """Measure read-outs and, after the phase of seeing, answers, on views kept out of training."""
        row: dict[str, Any] = {"scenes": len(self.source)}
        row |= seeing_scores(self.model, self.heads, self.validation, self.processor, self._places)
        return row | (topic_scores(self.model, self.processor, self.validation) if self.stage(step) != "see" else {})

    def save(self) -> Path:
        """Write the checkpoint; the last one stays until the new one is complete."""
        temporary = self.folder / "model.safetensors.part"
        save_file(dict(self.model.state_dict()), temporary, metadata={"format": "pt"})
        temporary.chmod(0o644)  # for others to read; safetensors keeps its files to their owner
        os.replace(temporary, self.folder / "model.safetensors")
        return self.folder

    def refresh(self) -> None:
        """Open shards that were completed since."""
        self.source.refresh()


def prepare(settings: PretrainSettings) -> None:
    """Write everything of a new run's checkpoint but the weights: tokenizer, preprocessor, configuration.

    Raises:
        InputError: The folder holds no scenes.
    """
    if images_done(Path(settings.out)):
        return
    source, folder, size = SceneViews(Path(settings.scenes)), _checkpoint(settings), SIZES[settings.size]
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(settings, size, source).save_pretrained(folder)
    write_preprocessor_config(folder, size.layout)
    embedded_config(MolmoProcessor.from_pretrained(folder).eos_id, size, settings.stem).save_pretrained(folder)


def _tokenizer(settings: PretrainSettings, size: ModelSize, source: SceneViews) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the checkpoint to start from if its decoder is as large, else a new one."""
    if settings.start:
        old = load_config(Path(settings.start))
        # Words of another tokenizer would have to be learned again.
        if (old.hidden_size, old.embedding_size) == (size.width, size.vocabulary):
            return MolmoProcessor.from_pretrained(settings.start).tokenizer
    return train_tokenizer(size.vocabulary, None if source.shards.plain else corpus_of(source))


def pretrain(
    settings: PretrainSettings,
    say: Callable[[str], None] = lambda line: None,
    after_check: Callable[[Path], None] | None = None,
    replan: bool = False,
) -> Path:
    """Train a small model from nothing with all workers, or resume such a run.

    Args:
        settings: Settings of the run.
        say: Receives lines about the run.
        after_check: Called with the folder of the run after every checkpoint; a module's function with several workers.
        replan: True resumes the run with another plan.

    Returns:
        The folder of the checkpoint.

    Raises:
        InputError: The folder holds another run, or a folder holds no scenes.
    """
    refuse_another_run(settings, replan)
    prepare(settings)
    # Workers find the settings recorded, another plan included.
    record_settings(settings)
    if settings.workers == 1:
        return TrainingLoop(settings, lambda: PretrainingTask(settings), say, after_check).run()
    torch.multiprocessing.spawn(_work, (settings, after_check), nprocs=settings.workers)
    return _checkpoint(settings)


def _checkpoint(settings: PretrainSettings) -> Path:
    return Path(settings.out) / "checkpoint"


def _work(rank: int, settings: PretrainSettings, after_check: Callable[[Path], None] | None) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    rendezvous = f"file://{(Path(settings.out) / f'workers.{os.getppid()}').resolve()}"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=settings.workers)
    try:
        TrainingLoop(settings, lambda: PretrainingTask(settings, rank), after_check=after_check).run()
    finally:
        dist.destroy_process_group()
