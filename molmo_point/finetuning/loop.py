"""The loop of every training: steps, checks, log and checkpoints, resumable bit for bit at any checkpoint."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from molmo_point.finetuning.run_settings import RunSettings
from molmo_point.finetuning.state import (
    Stateful,
    append_log,
    images_done,
    load_state,
    record_settings,
    refuse_another_run,
    save_state,
)

Losses = dict[str, torch.Tensor]
_SHOWN = 20  # steps that the losses of the progress bar are means of


class TrainingTask(ABC):
    """One kind of training: its model, batches, losses and checks.

    Attributes:
        settings: Settings of the run.
        total_steps: Optimizer steps of the run.
        parts: Tensors that a resumed run needs, by the name of their file.
        columns: Columns of ``log.csv`` after images, time, stage and rate.
        rank: Number of this process; only process 0 writes.
    """

    settings: RunSettings
    total_steps: int
    parts: Mapping[str, Stateful]
    columns: tuple[str, ...]
    rank: int = 0

    @abstractmethod
    def stage(self, step: int) -> str:
        """Return the name of the stage that a step belongs to."""

    @abstractmethod
    def trained(self, step: int) -> dict[str, list[torch.nn.Parameter]]:
        """Return the parameters that a step trains, by group; gradients are clipped to 1 in each group."""

    @abstractmethod
    def rates(self, step: int) -> Mapping[Any, float]:
        """Return the learning rate of every group at a step."""

    @abstractmethod
    def losses(self, step: int, rng: np.random.Generator) -> Iterator[Losses]:
        """Draw the batch of a step (from 0) and yield its losses by name, for one part of the batch after another.

        The loop computes the gradients of a part before it asks for the next one. ``rng`` is seeded by the step.
        """

    @abstractmethod
    def check(self, step: int) -> dict[str, Any]:
        """Measure the model on images kept out of training, after a step; values by column."""

    @abstractmethod
    def save(self) -> Path:
        """Write the trained model for use, and return its folder."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Folder of the trained model."""

    def begins(self, step: int) -> bool:
        """Return True if a stage with an optimizer of its own begins at a step; by default never."""
        return False

    def reduce_gradients(self, parameters: list[torch.nn.Parameter]) -> None:  # noqa: B027  (a default)
        """Combine the gradients of several processes; by default there is one process."""

    def refresh(self) -> None:  # noqa: B027  (a default)
        """Take in data that were added since; called after every check."""


TaskT = TypeVar("TaskT", bound=TrainingTask)


class TrainingLoop(Generic[TaskT]):
    """One run in one folder: model, state, ``settings.json``, ``plans.jsonl``, ``log.csv``.

    Args:
        settings: Settings of the run.
        make_task: Makes the task, after the folder was found free.
        say: Receives lines about the run.
        after_check: Called with the folder after every checkpoint.
        replan: True resumes a run with another plan.

    Raises:
        InputError: The folder holds another run or a broken state, or the task cannot be set up.
    """

    def __init__(
        self,
        settings: RunSettings,
        make_task: Callable[[], TaskT],
        say: Callable[[str], None] = lambda line: None,
        after_check: Callable[[Path], None] | None = None,
        replan: bool = False,
    ) -> None:
        refuse_another_run(settings, replan)
        self.settings, self.out, self._say, self._after_check = settings, Path(settings.out), say, after_check
        self.task = make_task()
        if self.task.rank == 0:
            record_settings(settings)
        self.step_number = images_done(self.out) // settings.batch
        # The saved state belongs to the stage of the step before.
        self.optimizer = self._optimizer(max(self.step_number - 1, 0))
        load_state(self.out, self.task.parts, self.optimizer)
        if self.step_number:
            say(f"resuming at image {self.images_seen} of {self.task.total_steps * settings.batch}")

    @property
    def images_seen(self) -> int:
        """Images seen so far."""
        return self.step_number * self.settings.batch

    def run(self) -> Path:
        """Train to the end, with a progress bar, a log and checkpoints; return the folder of the trained model."""
        task, settings = self.task, self.settings
        recent: dict[str, list[float]] = {}
        total = task.total_steps * settings.batch
        with tqdm(total=total, initial=self.images_seen, unit="image", smoothing=0.05, disable=task.rank > 0) as bar:
            while self.step_number < task.total_steps:
                if task.begins(self.step_number):
                    self._begin()
                for name, value in self.step().items():
                    recent.setdefault(name, []).append(value)
                bar.update(settings.batch)
                means = {name: f"{np.mean(values[-_SHOWN:]):.3f}" for name, values in recent.items()}
                bar.set_postfix({"stage": task.stage(self.step_number)} | means)
                self.step_number += 1
                if self._is_due():
                    if task.rank == 0:
                        self._check({name: float(np.mean(values)) for name, values in recent.items()})
                    task.refresh()
                    recent = {}
        return task.folder

    def step(self) -> dict[str, float]:
        """Take one optimizer step and return its losses by name."""
        task = self.task
        # Seeded by the step, so that a resumed run sees the same images as an uninterrupted one.
        rng = np.random.default_rng([self.settings.seed, self.step_number, task.rank])
        torch.manual_seed(int(rng.integers(2**63)))
        self.optimizer.zero_grad(set_to_none=True)
        total: dict[str, float] = {}
        for losses in task.losses(self.step_number, rng):
            torch.stack(list(losses.values())).sum().backward()
            for name, value in losses.items():
                total[name] = total.get(name, 0.0) + float(value.detach())
        groups = self.optimizer.param_groups
        task.reduce_gradients([parameter for group in groups for parameter in group["params"]])
        rates = task.rates(self.step_number)
        for group in groups:
            torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
            group["lr"] = rates[group["name"]]
        self.optimizer.step()
        return total

    def _is_due(self) -> bool:
        """Return True if a check follows the last step: every so many images, and at the end of a stage."""
        before, every = self.images_seen - self.settings.batch, self.settings.check_every
        ended = self.step_number == self.task.total_steps or self.task.begins(self.step_number)
        return ended or self.images_seen // every > before // every

    def _begin(self) -> None:
        self.optimizer = self._optimizer(self.step_number)
        names = ", ".join(group["name"] for group in self.optimizer.param_groups)
        self._say(f"stage {self.task.stage(self.step_number)} from image {self.images_seen}: trains {names}")

    def _optimizer(self, step: int) -> torch.optim.AdamW:
        groups: list[dict[str, Any]] = [{"params": found, "name": name} for name, found in self.task.trained(step).items()]
        return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-6, weight_decay=0)

    def _check(self, means: dict[str, float]) -> None:
        """Log, save the state to resume from, and the model that others may already use."""
        task, last = self.task, self.step_number - 1
        rates = task.rates(last)
        row: dict[str, Any] = {"images": self.images_seen, "time_s": round(time.time()), "stage": task.stage(last)}
        row["rate"] = float(f"{max(rates[group['name']] for group in self.optimizer.param_groups):.3g}")
        row |= {name: round(value, 4) for name, value in means.items()}
        row |= task.check(last)
        append_log(self.out, ("images", "time_s", "stage", "rate", *task.columns), row)
        task.save()
        save_state(self.out, self.images_seen, task.parts, self.optimizer)
        if self._after_check is not None:
            self._after_check(self.out)
