"""Comparison of a camera's depth with its color images, over frames that are spread over time."""

from dataclasses import dataclass
from typing import Any

from molmo_point.camera.registry import parse_camera
from molmo_point.camera.replay import ReplayEnded
from molmo_point.depth.alignment_check import FIX, AlignmentCheck, AlignmentEvidence

_COMPARED = (0, 1, 2, 4, 8, 16, 32, 64)
"""Indexes of the frames that are compared: as many as possible of a short recording, and spread over a longer one."""


@dataclass(frozen=True)
class CameraAlignment:
    """Result for one camera.

    Attributes:
        check: The comparison; None without depth and intrinsics.
        doubt: Reason of the camera itself for doubting its depth; None without one.
    """

    check: AlignmentCheck | None
    doubt: str | None = None

    @property
    def misaligned(self) -> bool:
        """True if depth does not belong to the color images."""
        return self.doubt is not None or (self.check is not None and self.check.misaligned)

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        if self.check is None:
            return "its frames have no depth with intrinsics"
        if self.doubt is not None:
            return f"depth does not belong to the color images: {self.doubt}"
        if not self.check.can_tell:
            return self.check.sentence
        verdict = "depth does not belong to the color images" if self.misaligned else "no significant displacement of depth"
        return f"{verdict}: {self.check.sentence}"

    @property
    def fix(self) -> str:
        """Remedy; empty if there is nothing to do."""
        if self.misaligned:
            return FIX
        if self.check is not None and not self.check.can_tell:
            return "show objects in front of a farther surface, and move the camera between frames"
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        found = {} if self.check is None else self.check.to_dict()
        return {**found, "misaligned": self.misaligned, "doubt": self.doubt, "message": self.sentence, "fix": self.fix}


def examine_alignment(camera: str) -> CameraAlignment:
    """Read frames of a camera, and compare depth with color.

    Args:
        camera: Text that opens the camera, as `--camera` takes it.

    Raises:
        MolmoPointError: The camera cannot be opened or read.
    """
    evidence, doubt, compared = AlignmentEvidence(), None, 0
    with parse_camera(camera).open() as source:
        for index in range(_COMPARED[-1] + 1):
            try:
                frame = source.read()
            except ReplayEnded:
                break
            if index not in _COMPARED:
                continue
            if frame.depth_m is None or frame.intrinsics is None:
                return CameraAlignment(None)
            doubt = doubt or frame.depth_doubt
            evidence.add(frame)
            compared += 1
    return CameraAlignment(evidence.check() if compared else None, doubt)
