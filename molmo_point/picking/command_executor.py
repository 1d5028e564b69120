"""Interpreter of commands: executes their steps until one fails, in this process or through another executor."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from molmo_point.arm.arm import Cancelled
from molmo_point.arm.stop_latch import Permit
from molmo_point.cautions import Caution
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
from molmo_point.errors import CancelledError
from molmo_point.picking.event_log import until
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

    def begin(self, command: Command) -> None:  # noqa: B027
        """Accept a command, before its first step. Default: nothing to do."""

    def ended(self) -> bool:
        """Return True if no further step may begin, because of a stop. Default: False."""
        return False

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
    """Execute a command until a step fails, or a stop drops the remaining steps.

    Args:
        command: From `parse_command`.
        executor: Executes the steps.

    Returns:
        Outcomes of all steps begun; the last one may be a failure, or the CANCELLED step that a stop dropped.

    Raises:
        MolmoPointError: What the executor raises.
    """
    for wrong, right in command.corrections:
        executor.say(f"{wrong!r} is taken for {right!r}")
    outcomes: list[StepOutcome] = []
    executor.begin(command)
    for step, place in command.paired():
        if executor.ended() and not isinstance(step, StopStep):
            outcomes.append(_dropped(step))
            break
        executor.say(describe_step(step) + (f", then {describe_step(place)}" if place else ""))
        try:
            outcomes += _step_done(step, place, executor)
        except CancelledError:
            outcomes.append(_dropped(step))
        if not outcomes[-1].success:
            break
    return outcomes


def _step_done(step: Step, place: PlaceStep | None, executor: StepExecutor) -> Sequence[StepOutcome]:
    """Outcomes of one step, with the placing that belongs to a pick."""
    if isinstance(step, StopStep):
        return [executor.stop(step)]
    if isinstance(step, PickStep):
        return _pick_every(step, place, executor) if step.every else [executor.move(step, place)]
    if isinstance(step, PlaceStep):
        return [executor.move(None, step)]
    return [executor.count(step)] if isinstance(step, CountStep) else [executor.point(step)]


def _dropped(step: Step) -> MoveOutcome:
    """Outcome of a step that a stop keeps from its end."""
    said = f"stopped, so it did not {describe_step(step)}"
    return MoveOutcome(step=step, success=False, message=said, failure=PickFailure.CANCELLED)


def _pick_every(step: PickStep, place: PlaceStep | None, executor: StepExecutor) -> list[MoveOutcome]:
    """Pick one object after the other until none is found; at least one must be."""
    done: list[MoveOutcome] = []
    while len(done) < MOST_REPEATS:
        if done and executor.ended():
            done.append(_dropped(step))
            break
        outcome = executor.move(step, place)
        if done and outcome.failure is PickFailure.NOT_FOUND and not outcome.picked:
            executor.say(f"no more {step.what}: {len(done)} done")
            break
        done.append(outcome)
        # A dry run lifts nothing, and would find the same object again.
        if not (outcome.success and outcome.picked):
            break
    return done


def _doubt(cautions: Sequence[Caution]) -> str:
    """Cautions of an answer as the end of its message; "" without any."""
    return f" (not trusted: {'; '.join(map(str, cautions))})" if cautions else ""


class PickerExecutor(StepExecutor):
    """Executes steps with a picker in this process; its fixed camera counts and points.

    Args:
        picker: The picker.
        cancelled: As in `Picker.pick`.
        on_state: As in `Picker.pick`.
        permit: From `arm.resume()`, called when the command was accepted; revoked, it ends the command. None resumes the arm
            at the begin of a command that moves it.
    """

    def __init__(
        self,
        picker: Picker,
        *,
        cancelled: Cancelled | None = None,
        on_state: OnState | None = None,
        permit: Permit | None = None,
    ) -> None:
        self._picker, self._cancelled, self._on_state = picker, cancelled, on_state
        self._given = permit
        self._permit = permit or picker.arm.stop_latch.watch()
        self._ended = until(self._permit, cancelled)

    def begin(self, command: Command) -> None:
        if self._given is None:
            moves = any(isinstance(step, PickStep | PlaceStep) for step in command.steps)
            arm = self._picker.arm
            self._permit = arm.resume() if moves else arm.stop_latch.watch()
            self._ended = until(self._permit, self._cancelled)

    def ended(self) -> bool:
        return self._ended()

    def move(self, pick: PickStep | None, place: PlaceStep | None) -> MoveOutcome:
        results: list[Outcome] = []
        picker, how = self._picker, {"cancelled": self._cancelled, "on_state": self._on_state, "permit": self._permit}
        began_ns = picker.arm.now_ns()
        if pick is not None:
            results.append(picker.pick(pick.what, **how))
        picked = results[0] if results else None
        step = pick or place
        assert step is not None
        if place is not None and (picked is None or picked.success):
            results.append(picker.place(place.where, place.relation, **how))
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
        found = self._picker.pointer.count(self._picker.fixed_camera.read(), step.what, should_stop=self._ended)
        said = f"{found.count} {step.what}{_doubt(found.cautions)}"
        return CountOutcome(step=step, success=True, message=said, count=found.count)

    def point(self, step: PointStep) -> PointOutcome:
        found = self._picker.pointer.point(self._picker.fixed_camera.read(), step.what, should_stop=self._ended)
        number, said = len(found.points), f"{len(found.points)} x {step.what}{_doubt(found.cautions)}"
        return PointOutcome(step=step, success=number > 0, message=said, answer=found.to_dict())

    def stop(self, step: StopStep) -> StepOutcome:
        self._picker.arm.stop()
        return StepOutcome(step=step, success=True, message="stopped")
