"""A command carried out with a picker in this process, step by step."""

from molmo_point.arm.arm import Cancelled
from molmo_point.commands import Command, CountStep, PickStep, PlaceStep, PointStep, Relation
from molmo_point.commands.steps import MOST_REPEATS
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.drop_zones import PutDownPlaces
from molmo_point.picking.pick import Picker
from molmo_point.picking.states import OnState, PickFailure, PickResult, PlaceResult
from molmo_point.results import Count, Pointing

Outcome = PickResult | PlaceResult | Count | Pointing


def carry_out(
    command: Command,
    picker: Picker,
    places: PutDownPlaces,
    *,
    cancelled: Cancelled | None = None,
    on_state: OnState | None = None,
) -> list[Outcome]:
    """Do what was said until a step fails.

    Args:
        command: From `parse_command`; a stop moves nothing and has no outcome.
        picker: Does it. Counting and pointing is done with its fixed camera.
        places: Where things are put aside and handed over.
        cancelled: As in `Picker.pick`.
        on_state: Likewise.

    Returns:
        What became of each step that was begun; the last one may have failed.

    Raises:
        InputError: As `Picker.pick` and `Picker.place`.
    """
    done: list[Outcome] = []
    for step, place in command.paired():
        if isinstance(step, PickStep):
            for _ in range(MOST_REPEATS if step.every else 1):
                picked = picker.pick(step.what, cancelled=cancelled, on_state=on_state)
                if step.every and done and picked.failure is PickFailure.NOT_FOUND:
                    break
                done.append(picked)
                if picked.success and place is not None:
                    done.append(_place(place, picker, places, cancelled, on_state))
                if not succeeded(done[-1]):
                    return done
        elif isinstance(step, PlaceStep):
            done.append(_place(step, picker, places, cancelled, on_state))
        elif isinstance(step, CountStep):
            done.append(picker.pointer.count(picker.fixed_camera.read(), step.what))
        elif isinstance(step, PointStep):
            done.append(picker.pointer.point(picker.fixed_camera.read(), step.what))
        if done and not succeeded(done[-1]):
            return done
    return done


def succeeded(outcome: Outcome) -> bool:
    """Whether a step was done; a count of zero is an answer, too."""
    if isinstance(outcome, Pointing):
        return bool(outcome.points)
    return outcome.success if isinstance(outcome, PickResult | PlaceResult) else True


def _place(
    step: PlaceStep, picker: Picker, places: PutDownPlaces, cancelled: Cancelled | None, on_state: OnState | None
) -> PlaceResult:
    if picker.held is None:
        raise InputError("There is nothing to place", "the gripper holds nothing", "pick something first")
    where: str | Transform = step.where
    if not step.relation.needs_place:
        where = places.next(picker.arm, picker.held, aside=step.relation is Relation.ASIDE)
    relation = step.relation.value if step.relation.needs_place else "on"
    return picker.place(where, relation, cancelled=cancelled, on_state=on_state)  # type: ignore[arg-type]
