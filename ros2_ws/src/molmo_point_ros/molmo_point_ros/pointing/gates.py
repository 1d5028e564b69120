"""Safety gates: stop the targets that a robot must not act on, each with a reason.

A gate that is not set lets every target pass. A target without the value that a gate checks is stopped, e.g. one without
confidence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from molmo_point_msgs.msg import PointTarget

from molmo_point.cautions import Caution, CautionKind
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.results import Target
from molmo_point.target_time import require_fresh
from molmo_point_ros.nodes.parameters import PointingNodeParameters

NAMES = {
    PointTarget.GATE_WORKSPACE: "workspace",
    PointTarget.GATE_CONFIDENCE: "confidence",
    PointTarget.GATE_UNCERTAINTY: "uncertainty",
    PointTarget.GATE_AGE: "age",
    PointTarget.GATE_TRUST: "trust",
}
OPEN = (PointTarget.GATE_OPEN, "")


@dataclass(frozen=True)
class Gates:
    """Limits of the positions that a robot may act on.

    Attributes:
        workspace_frame: Frame of the box; "" is the frame of the published positions.
        low_m: (3,) lower corner of the box in meters; -inf is no limit.
        high_m: (3,) upper corner of the box in meters; inf is no limit.
        min_confidence: Least confidence, 0 to 1; 0 is no limit.
        max_sigma_m: Largest standard deviation along the least certain direction, in meters; 0 is no limit.
        max_age_s: Longest time since the capture, in seconds of the node's clock; 0 is no limit.
        accepted: Kinds of cautions that stop no target.
    """

    workspace_frame: str = ""
    low_m: tuple[float, ...] = (-math.inf,) * 3
    high_m: tuple[float, ...] = (math.inf,) * 3
    min_confidence: float = 0.0
    max_sigma_m: float = 0.0
    max_age_s: float = 0.0
    accepted: frozenset[CautionKind] = frozenset(CautionKind)

    @classmethod
    def from_parameters(cls, parameters: PointingNodeParameters) -> "Gates":
        """Return the gates that the parameters describe."""
        return cls(
            workspace_frame=(parameters.workspace_frame or parameters.target_frame).lstrip("/"),
            low_m=tuple(parameters.workspace_min),
            high_m=tuple(parameters.workspace_max),
            min_confidence=parameters.min_confidence,
            max_sigma_m=parameters.max_sigma_m,
            max_age_s=parameters.max_target_age_s,
            accepted=parameters.accepted(),
        )

    @property
    def has_workspace(self) -> bool:
        """True if any side of the box is set."""
        return any(math.isfinite(value) for value in (*self.low_m, *self.high_m))

    def check(
        self, target: Target, now_ns: int, workspace_T_camera: Transform | None = None, cautions: Sequence[Caution] = ()
    ) -> tuple[int, str]:
        """Check a target.

        Args:
            target: A target in the optical frame.
            now_ns: The node's time.
            workspace_T_camera: Into the frame of the box at the capture time; None if the box is in the optical frame.
            cautions: Of the answer with the target.

        Returns:
            The GATE_ constant of PointTarget that stops it and the reason in words; otherwise GATE_OPEN and "". Trust comes
            first: the other figures are those of an answer that may mean another object.
        """
        doubts = [str(caution) for caution in cautions if caution.kind not in self.accepted]
        if doubts:
            return PointTarget.GATE_TRUST, f"not trusted: {'; '.join(doubts)}"
        if self.has_workspace:
            inside = target if workspace_T_camera is None else target.transformed(workspace_T_camera)
            reason = self._outside(inside)
            if reason:
                return PointTarget.GATE_WORKSPACE, reason
        if self.min_confidence > 0 and not target.confidence >= self.min_confidence:
            known = "the model gives no confidence" if math.isnan(target.confidence) else f"confidence {target.confidence:.2f}"
            return PointTarget.GATE_CONFIDENCE, f"{known}, at least {self.min_confidence:g} is required"
        if self.max_sigma_m > 0 and not target.sigma_m <= self.max_sigma_m:
            reason = f"standard deviation {target.sigma_m * 1e3:.1f} mm, at most {self.max_sigma_m * 1e3:g} mm is allowed"
            return PointTarget.GATE_UNCERTAINTY, reason
        if self.max_age_s > 0:
            try:
                require_fresh(target, now_ns, self.max_age_s)
            except InputError as error:
                return PointTarget.GATE_AGE, f"{error.what}: {error.given}"
        return OPEN

    def _outside(self, target: Target) -> str:
        low, high = np.array(self.low_m), np.array(self.high_m)
        position = np.asarray(target.position_m)
        off = np.maximum(low - position, position - high)
        axis = int(np.argmax(off))
        if not off[axis] > 0:
            return ""
        limit = low[axis] if position[axis] < low[axis] else high[axis]
        return (
            f"{'xyz'[axis]} = {position[axis]:.3f} m in {target.frame!r} is {off[axis] * 1e3:.0f} mm "
            f"beyond the workspace's {limit:g} m"
        )
