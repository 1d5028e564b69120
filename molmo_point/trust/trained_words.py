"""Words that a checkpoint was trained on, and the check of a query against them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from molmo_point.cautions import Caution


@dataclass(frozen=True)
class TrainedWords:
    """Words that a model was trained on.

    Attributes:
        groups: Words and phrases by the name of their group, e.g. "colors", "shapes".
    """

    groups: Mapping[str, tuple[str, ...]]

    def check(self, words: str, model: str) -> Caution | None:
        """Check the words of a query; None if the model was trained on all of them.

        Args:
            words: Words of the user.
            model: Name of the model, for the message.
        """
        return None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "TrainedWords":
        """Read the form of `to_settings`; ValueError if it is another."""
        return cls({str(name): tuple(words) for name, words in settings["groups"].items()})

    def to_settings(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {"groups": {name: list(words) for name, words in self.groups.items()}}
