"""Trains a Molmo further: stages of captions and pointing, in full or through adapters, resumable at any checkpoint."""

import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from molmo_point.errors import InputError
from molmo_point.finetuning.checks import ANSWER_COLUMNS, VALID_COLUMN, answer_scores, validation_loss
from molmo_point.finetuning.configuration import to_json
from molmo_point.finetuning.mixture import Mixture
from molmo_point.finetuning.packed_batch import PackedImage, packed_image, summed_loss
from molmo_point.finetuning.sample import Asked
from molmo_point.finetuning.settings import Stage, TuneSettings
from molmo_point.finetuning.state import load_state, save_state
from molmo_point.finetuning.trained_model import TrainedModel

COLUMNS = ("images", "time_s", "stage", "rate", "token", VALID_COLUMN, *ANSWER_COLUMNS)
_VALIDATION_SEED = 96817
_TRIES = 50
_NOT_THE_RUN = {"out", "device", "micro_batch", "gradient_checkpointing", "check_every", "check_images"}


class Tuner:
    """One run in one folder: ``checkpoint/`` or ``adapter/``, state, ``settings.json``, ``log.csv``, ``bad_rows.txt``.

    Args:
        settings: What to do.
        say: Told in lines what was found and what happens.
        after_check: Called with the folder after every checkpoint.

    Attributes:
        images_seen: How far the run is.
        images_too_long: Images passed over because not even one question fitted beside them.

    Raises:
        InputError: Labels, scenes or settings cannot be used, or the folder holds another run.
        CheckpointError: The base cannot be loaded.
        DependencyError: A library is missing.
    """

    def __init__(
        self,
        settings: TuneSettings,
        say: Callable[[str], None] = lambda line: None,
        after_check: Callable[[Path], None] | None = None,
    ) -> None:
        self.settings, self._say, self._after_check = settings, say, after_check
        self.out = Path(settings.out)
        self._check_folder()
        self.mixture = Mixture(settings)
        for line in self.mixture.report():
            say(line)
        self.trained = TrainedModel(settings)
        self.images_too_long = 0
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "settings.json").write_text(json.dumps(to_json(settings), indent=1) + "\n", encoding="utf-8")
        (self.out / "bad_rows.txt").write_text("".join(line + "\n" for line in self.mixture.report()), encoding="utf-8")
        self.step_number = self._resume()

    @property
    def images_seen(self) -> int:
        """How far the run is."""
        return self.step_number * self.settings.batch

    def run(self) -> Path:
        """Trains to the end, with a progress bar, a log and checkpoints.

        Returns:
            The folder of the trained checkpoint or adapter.
        """
        settings, total = self.settings, self.settings.total_steps
        every = max(1, round(settings.check_every / settings.batch))
        folder = self.out / ("checkpoint" if settings.lora is None else "adapter")
        recent: list[float] = []
        with tqdm(total=total * settings.batch, initial=self.images_seen, unit="image", smoothing=0.05) as bar:
            while self.step_number < total:
                stage, done = settings.at(self.step_number)
                if done == 0:
                    self._begin(stage)
                recent.append(self.step())
                bar.update(settings.batch)
                bar.set_postfix({"stage": stage.stage, "loss": f"{np.mean(recent[-20:]):.3f}"})
                self.step_number += 1
                if self.step_number % every == 0 or done + 1 == settings.steps(stage):
                    self._log(stage, float(np.mean(recent)))
                    folder = self.trained.save(self.out)
                    save_state(self.out, self.images_seen, {"trained": self.trained}, self.optimizer)
                    if self._after_check is not None:
                        self._after_check(self.out)
                    recent = []
        return folder

    def step(self) -> float:
        """One optimiser step; returns the mean loss of its answers."""
        settings, model = self.settings, self.trained.model
        # Seeded by the step, so that a resumed run sees what an uninterrupted one would.
        rng = np.random.default_rng([settings.seed, self.step_number])
        torch.manual_seed(settings.seed * 1_000_003 + self.step_number)
        stage, _ = settings.at(self.step_number)
        packed = [self._packed(stage.stage, rng) for _ in range(settings.batch)]
        weight = sum(one.weight for one in packed)
        model.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for start in range(0, len(packed), settings.micro_batch):
            part = packed[start : start + settings.micro_batch]
            with self.trained.precision():
                loss = summed_loss(model, part, self.trained.processor.eos_id, settings.z_loss, self.trained.device) / weight
            loss.backward()
            total += float(loss.detach())
        rates = settings.rates(self.step_number)
        for group in self.optimizer.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
            group["lr"] = rates[group["name"]]
        self.optimizer.step()
        return total

    def _packed(self, stage: str, rng: np.random.Generator) -> PackedImage:
        for _ in range(_TRIES):
            asked = self.mixture.draw(stage, rng)
            if asked is None:
                continue
            packed = packed_image(self.trained.processor, asked.pixels, asked.examples, self.settings.max_tokens)
            if packed is not None:
                return packed
            self.images_too_long += 1
        raise InputError(
            "The images leave no room for questions",
            f"max_tokens = {self.settings.max_tokens}, {_TRIES} images in a row were longer",
            "raise max_tokens, or lower max_crops",
        )

    def _begin(self, stage: Stage) -> None:
        """Every stage has an optimiser of its own, as Molmo's two stages had."""
        self.optimizer = self._optimizer(stage)
        rates = ", ".join(f"{name} {self.settings.peak(stage, name):.3g}" for name in self._names)
        self._say(f"stage {stage.stage}: {self.settings.steps(stage)} steps of {self.settings.batch} images, peak rates {rates}")

    def _optimizer(self, stage: Stage) -> torch.optim.AdamW:
        groups = self.trained.groups(stage)
        self._names = list(groups)
        parameters: list[dict[str, Any]] = [{"params": found, "name": name} for name, found in groups.items()]
        return torch.optim.AdamW(parameters, lr=0.0, betas=(0.9, 0.95), eps=1e-6, weight_decay=0)

    def _resume(self) -> int:
        """Loads the last state, if there is one; returns the number of the next step."""
        stage = self.settings.stages[0]
        progress = self.out / "progress.json"
        if progress.exists():
            done = int(json.loads(progress.read_text())["images_seen"]) // self.settings.batch
            # The state belongs to the stage of the step before.
            stage, _ = self.settings.at(max(done - 1, 0))
        self.optimizer = self._optimizer(stage)
        images = load_state(self.out, {"trained": self.trained}, self.optimizer)
        if images:
            self._say(f"going on at image {images} of {self.settings.total_steps * self.settings.batch}")
        return images // self.settings.batch

    def _check_folder(self) -> None:
        path = self.out / "settings.json"
        if not path.exists() or not (self.out / "progress.json").exists():
            return
        saved, mine = json.loads(path.read_text(encoding="utf-8")), to_json(self.settings)
        mine = json.loads(json.dumps(mine))  # tuples become lists
        differing = sorted(name for name in mine if name not in _NOT_THE_RUN and saved.get(name) != mine[name])
        if differing:
            given = f"{self.out}: {', '.join(differing)} differ"
            raise InputError(
                "This folder holds a run with other settings", given, "choose another out, or those of settings.json"
            )

    def _log(self, stage: Stage, loss: float) -> None:
        rates = self.settings.rates(self.step_number - 1)
        row: dict[str, Any] = {"images": self.images_seen, "time_s": round(time.time()), "stage": stage.stage}
        row |= {"rate": float(f"{max(rates[name] for name in self._names):.3g}"), "token": round(loss, 4)}
        asked = list(self._kept_out(stage))
        row[VALID_COLUMN] = validation_loss(self.trained, asked, self.settings.max_tokens)
        if stage.stage == "point":
            row |= answer_scores(self.trained.backend(), asked)
        path = self.out / "log.csv"
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer: csv.DictWriter[str] = csv.DictWriter(file, COLUMNS, restval="")
            if new:
                writer.writeheader()
            writer.writerow({name: "" if value != value else value for name, value in row.items()})

    def _kept_out(self, stage: Stage) -> Iterator[Asked]:
        rng = np.random.default_rng(_VALIDATION_SEED)
        for _ in range(self.settings.check_images):
            asked = self.mixture.draw(stage.stage, rng, validation=True)
            if asked is not None:
                yield asked


def tune(
    settings: TuneSettings,
    say: Callable[[str], None] = lambda line: None,
    after_check: Callable[[Path], None] | None = None,
) -> Path:
    """Runs a training; arguments and errors as `Tuner`.

    Returns:
        The folder of the trained checkpoint or adapter.
    """
    tuner = Tuner(settings, say, after_check)
    folder = tuner.run()
    if tuner.images_too_long:
        say(f"{tuner.images_too_long} images were passed over: no question fitted beside them (max_tokens)")
    return folder
