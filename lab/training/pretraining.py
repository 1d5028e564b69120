"""Trains the embedded model: first to see, then to point. Resumable at any checkpoint.

python -m lab.training.scenes --out scenes
python -m lab.training.trainer --scenes scenes --out run
"""

import argparse
import csv
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from safetensors.torch import save_file
from tqdm import tqdm

from lab.training.batches import draw_batch
from lab.training.growth import grow
from lab.training.initial import SIZES, embedded_config, initial_model, write_preprocessor_config
from lab.training.losses import AuxiliaryHeads, SoftTokenLoss
from lab.training.mixed_source import MixedSource
from lab.training.settings import REPLANNED, TrainSettings
from lab.training.sources import SimpleSource, Source, open_source
from lab.training.steps import pointing_losses, seeing_losses
from lab.training.tokenizer import corpus_of, train_tokenizer
from lab.training.validation import ANSWER_COLUMNS, SEEING_COLUMNS, answer_scores, seeing_scores
from molmo_point.errors import InputError
from molmo_point.finetuning.parameter_groups import parameter_groups
from molmo_point.finetuning.state import load_state, save_state
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import token_places

_COLUMNS = (
    "images", "time_s", "scenes", "rate", "class_patch", "outline", "class_token", "position", "token", "attention", "mention",
    "answer",
)  # fmt: skip


class Trainer:
    """One run in one folder: checkpoint, optimiser state, ``log.csv``, ``plans.jsonl``.

    With several workers every process holds a `Trainer`; gradients are averaged between them and
    the first one writes.

    Args:
        settings: What to do.
        scenes: Folder of rendered shards.
        out: Folder of the run; an unfinished run there is continued.
        rank: Number of this worker.
        replan: Whether a run may go on with another plan (`REPLANNED` settings); ``plans.jsonl`` keeps them all.
        after_check: Called with ``out`` after every checkpoint; a module's function where there are workers.

    Raises:
        InputError: ``out`` holds a run with other settings.
    """

    def __init__(
        self,
        settings: TrainSettings,
        scenes: Path,
        out: Path,
        rank: int = 0,
        replan: bool = False,
        after_check: Callable[[Path], None] | None = None,
    ) -> None:
        self.settings, self.out, self.rank, self._after_check = settings, out, rank, after_check
        self.source: Source = open_source(scenes)
        self.validation = open_source(scenes, validation=True)
        self.checkpoint = out / "checkpoint"
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        self._check_settings(replan)
        size = SIZES[settings.size]
        if not (self.checkpoint / "tokenizer.json").exists():
            lines = None if isinstance(self.source, SimpleSource) else corpus_of(self.source)
            train_tokenizer(size.vocabulary, lines).save_pretrained(self.checkpoint)
            write_preprocessor_config(self.checkpoint, size.layout)
        if settings.also:
            self.source = MixedSource(self.source, SimpleSource(Path(settings.also)), settings.also_share)
        self.processor = MolmoProcessor.from_pretrained(self.checkpoint)
        self.config = embedded_config(self.processor.eos_id, size)
        self.config.save_pretrained(self.checkpoint)
        self.model = initial_model(self.config, settings.seed)
        self.heads = AuxiliaryHeads(self.config, size.attention_layers, self.source.classes)
        if settings.start and not (out / "progress.json").exists():
            grow(self.model, self.processor.tokenizer, Path(settings.start))
        characters = {c: self.processor.encode_text(c)[0] for c in '0123456789."'}
        self.token_loss = SoftTokenLoss(characters)
        self.places = token_places(0, 0, size.layout)
        self.groups = [*parameter_groups(self.model).values(), list(self.heads.parameters())]
        self.optimizer = torch.optim.AdamW(
            [{"params": g} for g in self.groups], lr=1e-3, betas=(0.9, 0.95), eps=1e-6, weight_decay=0
        )
        self.images_seen = load_state(out, {"model": self.model, "heads": self.heads}, self.optimizer)

    def run(self) -> None:
        """Trains to the end, with a progress bar, a log and checkpoints."""
        settings = self.settings
        total = settings.total
        bar = tqdm(total=total, initial=self.images_seen, unit="image", smoothing=0.02, disable=self.rank > 0)
        recent: dict[str, list[float]] = {}
        parent = os.getppid()
        while self.images_seen < total:
            if settings.workers > 1 and os.getppid() != parent:
                raise SystemExit("the process that started this worker has ended")
            losses = self.step()
            for name, value in losses.items():
                recent.setdefault(name, []).append(value)
            bar.update(settings.batch)
            bar.set_postfix({k: f"{np.mean(v[-20:]):.3f}" for k, v in recent.items()})
            before = self.images_seen // settings.check_every
            self.images_seen += settings.batch
            if self.images_seen // settings.check_every > before or self.images_seen >= total:
                if self.rank == 0:
                    self._log({k: float(np.mean(v)) for k, v in recent.items()})
                    self._save()
                    if self._after_check is not None:
                        self._after_check(self.out)
                self.source.refresh()
                recent = {}
        bar.close()

    def step(self) -> dict[str, float]:
        """One optimiser step; returns the losses."""
        settings = self.settings
        # Seeded by the step, so that a resumed run sees what an uninterrupted one would.
        rng = np.random.default_rng([settings.seed, self.images_seen, self.rank])
        torch.manual_seed(settings.seed + self.images_seen * settings.workers + self.rank)
        seeing = settings.seeing(self.images_seen)
        questions = 1 if seeing else settings.questions
        share, lesson = settings.batch // settings.workers, settings.lesson(self.images_seen)
        batch = draw_batch(self.source, self.processor, self.places, share, questions, rng, lesson)
        if seeing:
            losses = seeing_losses(self.model, self.heads, batch)
        else:
            scale = 1.0 if settings.pointed(self.images_seen) < settings.auxiliary_share else 0.1
            losses = pointing_losses(self.model, self.heads, self.token_loss, batch, scale)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        self._average_gradients()
        for group in self.groups:
            torch.nn.utils.clip_grad_norm_(group, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(self.images_seen)
        self.optimizer.step()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _average_gradients(self) -> None:
        if self.settings.workers == 1:
            return
        parameters = [p for group in self.groups for p in group]
        # A parameter that took no part in this phase has no gradient on any worker.
        with_gradient = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in with_gradient])
        dist.all_reduce(flat)
        flat /= self.settings.workers
        start = 0
        for gradient in with_gradient:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def _check_settings(self, replan: bool) -> None:
        path, mine = self.out / "settings.json", asdict(self.settings)
        if path.exists():
            differing = self.settings.differing(json.loads(path.read_text()))
            if not differing:
                return
            if not replan or set(differing) - REPLANNED:
                raise InputError(
                    "This folder holds a run with other settings",
                    f"{self.out}: {', '.join(differing)} differ",
                    "choose another --out, the settings of settings.json, or --replan where only the plan differs",
                )
        if self.rank == 0:
            progress = self.out / "progress.json"
            images = json.loads(progress.read_text())["images_seen"] if progress.exists() else 0
            with (self.out / "plans.jsonl").open("a") as file:
                file.write(json.dumps({"from_images": images, **mine}) + "\n")
            path.write_text(json.dumps(mine, indent=1) + "\n")

    def _save(self) -> None:
        """The state to go on from, and the checkpoint that others may already use."""
        save_state(self.out, self.images_seen, {"model": self.model, "heads": self.heads}, self.optimizer)
        temporary = self.checkpoint / "model.safetensors.part"
        save_file(dict(self.model.state_dict()), temporary, metadata={"format": "pt"})
        temporary.chmod(0o644)  # for others to read; safetensors keeps its files to their owner
        os.replace(temporary, self.checkpoint / "model.safetensors")

    def _log(self, means: dict[str, float]) -> None:
        row: dict[str, float | int] = {"images": self.images_seen, "time_s": round(time.time()), "scenes": len(self.source)}
        row["rate"] = float(f"{self.settings.rate(self.images_seen):.3g}")
        row |= {name: round(value, 4) for name, value in means.items()}
        row |= seeing_scores(self.model, self.heads, self.validation, self.processor, self.places)
        if self.images_seen > self.settings.see_images:
            row |= answer_scores(self.model, self.processor, self.validation)
        columns = [*_COLUMNS, *SEEING_COLUMNS, *ANSWER_COLUMNS]
        path = self.out / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow(row)


def train(
    settings: TrainSettings,
    scenes: Path,
    out: Path,
    replan: bool = False,
    after_check: Callable[[Path], None] | None = None,
) -> None:
    """Runs a training with all its workers; arguments as `Trainer`.

    Raises:
        InputError: The workers do not divide the batch, or as `Trainer`.
    """
    if settings.workers < 1 or settings.batch % settings.workers:
        raise InputError(
            "The workers must share a batch evenly",
            f"batch {settings.batch}, workers {settings.workers}",
            "choose a batch that is a multiple of the workers",
        )
    if settings.workers == 1:
        Trainer(settings, scenes, out, replan=replan, after_check=after_check).run()
        return
    # The first worker writes the tokenizer and settings; the others must find them.
    Trainer(settings, scenes, out, replan=replan)
    torch.multiprocessing.spawn(_work, (settings, scenes, out, after_check), nprocs=settings.workers)


def _work(rank: int, settings: TrainSettings, scenes: Path, out: Path, after_check: Callable[[Path], None] | None) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    rendezvous = f"file://{(out / f'workers.{os.getppid()}').resolve()}"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=settings.workers)
    try:
        Trainer(settings, scenes, out, rank, after_check=after_check).run()
    finally:
        dist.destroy_process_group()


def main() -> None:
    """Command line; every field of `TrainSettings` is an option."""
    parser = argparse.ArgumentParser(description="Train the embedded tabletop model.")
    parser.add_argument("--scenes", type=Path, required=True, help="folder of rendered shards")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--replan", action="store_true", help="go on with another plan")
    for name, value in asdict(TrainSettings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    args = vars(parser.parse_args())
    scenes, out, replan = args.pop("scenes"), args.pop("out"), args.pop("replan")
    train(TrainSettings(**args), scenes, out, replan)


if __name__ == "__main__":
    main()
