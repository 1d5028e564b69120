"""Cautions of the SDK to the flags and texts of an array of targets, and back."""

from collections.abc import Iterable

from molmo_point_msgs.msg import PointTargetArray

from molmo_point.cautions import Caution, CautionKind

FLAGS = {
    CautionKind.UNKNOWN_WORDS: PointTargetArray.UNKNOWN_WORDS,
    CautionKind.LABEL_DIFFERS: PointTargetArray.LABEL_DIFFERS,
    CautionKind.UNFAMILIAR_IMAGE: PointTargetArray.UNFAMILIAR_IMAGE,
    CautionKind.UNFAMILIAR_OBJECT: PointTargetArray.UNFAMILIAR_OBJECT,
    CautionKind.POOR_IMAGE: PointTargetArray.POOR_IMAGE,
    CautionKind.NOT_TRAINED: PointTargetArray.NOT_TRAINED,
    CautionKind.UNCALIBRATED: PointTargetArray.UNCALIBRATED,
    CautionKind.UNREADABLE: PointTargetArray.UNREADABLE,
    CautionKind.TRUNCATED: PointTargetArray.TRUNCATED,
    CautionKind.COUNT_DIFFERS: PointTargetArray.COUNT_DIFFERS,
    CautionKind.MISALIGNED_DEPTH: PointTargetArray.MISALIGNED_DEPTH,
    CautionKind.CONFUSABLE: PointTargetArray.CONFUSABLE,
}
"""Constant of every kind of caution, in the order of the constants."""


def set_cautions(message: PointTargetArray, cautions: Iterable[Caution]) -> None:
    """Write the cautions of an answer into its array; of several of one kind, the first."""
    first = {caution.kind: caution for caution in reversed(list(cautions))}
    told = [(flag, first[kind]) for kind, flag in FLAGS.items() if kind in first]
    message.cautions = sum(flag for flag, _ in told)
    message.caution_texts = [caution.sentence for _, caution in told]


def cautions_of(message: PointTargetArray) -> tuple[Caution, ...]:
    """Read the cautions of a received array. Flags that this version does not know are left out."""
    kinds = [kind for kind, flag in FLAGS.items() if message.cautions & flag]
    texts = [*message.caution_texts, *[""] * len(kinds)]
    return tuple(Caution(kind, text) for kind, text in zip(kinds, texts))
