"""Interpreter of commands: executes their steps until one fails, in this process or through another executor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from molmo_point.arm.arm import Cancelled
from molmo_point.commands.steps import (
    MOST_REPEATS,
    Command,
    CountStep,
    PickStep,
    PlaceStep,
    PointStep,
    Step,
    StopStep,
    describe_step,
    step_to_dict,
)
from molmo_point.picking.pick import Picker
from molmo_point.picking.states import OnState, Outcome, PickFailure, PickResult


@dataclass(frozen=True, eq=False, kw_only=True)
class StepOutcome:
    """Outcome of one step.

    Attributes:
        step: The step.
        success: True if the step was done; a count of zero is success, too.
        message: The result or the problem, for people.
    """

    step: Step
    success: bool
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: the step with its kind as "do", and the outcome."""
        values = {name: value for name, value in vars(self).items() if name not in ("step", "failure")}
        return {**step_to_dict(self.step), **values}


@dataclass(frozen=True, eq=False, kw_only=True)
class MoveOutcome(StepOutcome):
    """Outcome of a pick, of placing, or of both.

    Attributes:
        failure: Reason of the failure; None with success, or if the arm gave no reason.
        attempts: Number of attempts of the pick.
        picked: True if an object was lifted.
        placed: True if it was placed.
        holding: Query of the object in the gripper at the end; "" is an empty gripper.
        duration_s: Duration by the arm's clock, seconds.
    """

    failure: PickFailure | None = None
    attempts: int = 0
    picked: bool = False
    placed: bool = False
    holding: str = ""
    duration_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "failure": "" if self.failure is None else self.failure.value}


@dataclass(frozen=True, eq=False, kw_only=True)
class CountOutcome(StepOutcome):
    """Outcome of counting.

    Attributes:
        count: Number of objects.
    """

    count: int


@dataclass(frozen=True, eq=False, kw_only=True)
class PointOutcome(StepOutcome):
    """Outcome of pointing.

    Attributes:
        answer: The answer's JSON-able form.
    """

    answer: Mapping[str, Any] = field(default_factory=dict)


class StepExecutor(ABC):
    """Executes the steps of commands."""

    def say(self, line: str) -> None:  # noqa: B027
        """Report progress to people. Default: silent."""

    @abstractmethod
    def move(self, pick: PickStep | None, place: PlaceStep | None) -> MoveOutcome:
        """Pick one object, place the object in the gripper, or both; at least one step is given."""

    @abstractmethod
    def count(self, step: CountStep) -> CountOutcome:
        """Count objects."""

    @abstractmethod
    def point(self, step: PointStep) -> PointOutcome:
        """Point at objects; nothing moves."""

    @abstractmethod
    def stop(self, step: StopStep) -> StepOutcome:
        """Stop the arm."""


def carry_out(command: Command, executor: StepExecutor) -> list[StepOutcome]:
    """Execute a command until a step fails.

    Args:
        command: From `parse_command`.
        executor: Executes the steps.

    Returns:
        Outcomes of all steps begun; the last one may be a failure.

    Raises:
        MolmoPointError: What the executor raises.
    """
    for wrong, right in command.corrections:
        executor.say(f"{wrong!r} is taken for {right!r}")
    outcomes: list[StepOutcome] = []
    for step, place in command.paired():
        executor.say(describe_step(step) + (f", then {describe_step(place)}" if place else ""))
        if isinstance(step, StopStep):
            outcomes.append(executor.stop(step))
        elif isinstance(step, PickStep):
            outcomes += _pick_every(step, place, executor) if step.every else [executor.move(step, place)]
        elif isinstance(step, PlaceStep):
            outcomes.append(executor.move(None, step))
        elif isinstance(step, CountStep):
            outcomes.append(executor.count(step))
        else:
            outcomes.append(executor.point(step))
        if not outcomes[-1].success:
            break
    return outcomes


def _pick_every(step: PickStep, place: PlaceStep | None, executor: StepExecutor) -> list[MoveOutcome]:
    """Pick one object after the other until none is found; at least one must be."""
    done: list[MoveOutcome] = []
    while len(done) < MOST_REPEATS:
        outcome = executor.move(step, place)
        if done and outcome.failure is PickFailure.NOT_FOUND and not outcome.picked:
            executor.say(f"no more {step.what}: {len(done)} done")
            break
        done.append(outcome)
        # A dry run lifts nothing, and would find the same object again.
        if not (outcome.success and outcome.picked):
            break
    return done


class PickerExecutor(StepExecutor):
    """Executes steps with a picker in this process; its fixed camera counts and points.

    Args:
        picker: The picker.
        cancelled: As in `Picker.pick`.
        on_state: As in `Picker.pick`.
    """

    def __init__(self, picker: Picker, *, cancelled: Cancelled | None = None, on_state: OnState | None = None) -> None:
        self._picker, self._cancelled, self._on_state = picker, cancelled, on_state

    def move(self, pick: PickStep | None, place: PlaceStep | None) -> MoveOutcome:
        results: list[Outcome] = []
        picker = self._picker
        began_ns = picker.arm.now_ns()
        if pick is not None:
            results.append(picker.pick(pick.what, cancelled=self._cancelled, on_state=self._on_state))
        picked = results[0] if results else None
        step = pick or place
        assert step is not None
        if place is not None and (picked is None or picked.success):
            results.append(picker.place(place.where, place.relation, cancelled=self._cancelled, on_state=self._on_state))
        last = results[-1]
        return MoveOutcome(
            step=step,
            success=last.success,
            message=last.message,
            failure=last.failure,
            attempts=picked.attempts if isinstance(picked, PickResult) else 0,
            picked=picked is not None and picked.success,
            placed=last is not picked and last.success,
            holding=picker.holding,
            duration_s=round((picker.arm.now_ns() - began_ns) * 1e-9, 3),
        )

    def count(self, step: CountStep) -> CountOutcome:
        found = self._picker.pointer.count(self._picker.fixed_camera.read(), step.what)
        return CountOutcome(step=step, success=True, message=f"{found.count} {step.what}", count=found.count)

    def point(self, step: PointStep) -> PointOutcome:
        found = self._picker.pointer.point(self._picker.fixed_camera.read(), step.what)
        number = len(found.points)
        return PointOutcome(step=step, success=number > 0, message=f"{number} x {step.what}", answer=found.to_dict())

    def stop(self, step: StopStep) -> StepOutcome:
        self._picker.arm.stop()
        return StepOutcome(step=step, success=True, message="stopped")
