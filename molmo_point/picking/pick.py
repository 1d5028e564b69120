"""`Picker`: pick up what is named in words, and put it down again."""

from collections.abc import Callable
from typing import Literal

from molmo_point.camera.base import Camera
from molmo_point.geometry.transforms import Transform
from molmo_point.picking.arm import Arm, Cancelled
from molmo_point.picking.states import OnState, PickResult, PlaceResult
from molmo_point.pointer import Pointer

Relation = Literal["in", "on", "next to"]


class Picker:
    """Picks and places by what is said.

    Args:
        pointer: The model.
        arm: See `Arm`.
        fixed_camera: Sees the table whole; its frames' name is known to the arm.
        wrist_camera: On the hand; None does without looking again.
        settings: See `PickSettings`.

    Attributes:
        holding: What the gripper holds, as it was asked for; "" when it holds nothing.
    """

    def __init__(self, pointer: Pointer, arm: Arm, fixed_camera: Camera, wrist_camera: Camera | None = None) -> None:
        self.pointer, self.arm = pointer, arm
        self.fixed_camera, self.wrist_camera = fixed_camera, wrist_camera
        self.holding = ""

    def pick(
        self,
        query: str,
        *,
        cancelled: Cancelled | None = None,
        on_state: OnState | None = None,
        dry_run: bool = False,
        attempts: int = 3,
    ) -> PickResult:
        """Pick one thing up.

        Args:
            query: What, e.g. "the red cube".
            cancelled: Asked again and again; True stops the arm where it is. What is held stays held.
            on_state: Told at every state and decision, from this thread.
            dry_run: Point and plan only; nothing moves.
            attempts: How often to try, at most.

        Returns:
            Always a result; a pick that does not succeed says why in `failure` and `message`.

        Raises:
            InputError: For an unusable query or number of attempts, or when something is held already.
        """
        raise NotImplementedError

    def place(
        self,
        where: str | Transform,
        relation: Relation = "on",
        *,
        cancelled: Cancelled | None = None,
        on_state: OnState | None = None,
    ) -> PlaceResult:
        """Put down what is held.

        Args:
            where: The thing to put it in, on or next to, in words; or `base_T_grasp`, the pose of the grasp frame to let
                go at.
            relation: "in", "on" or "next to"; of no meaning for a pose.
            cancelled: As in `pick`; what is held stays held.
            on_state: As in `pick`.

        Raises:
            InputError: For an unusable query, an unknown relation, or when nothing is held.
        """
        raise NotImplementedError


Stop = Callable[[], None]
