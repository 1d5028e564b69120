"""Part of the page for teaching: name, teach, what was seen of the object, and the taught objects with forget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_point.viz.text import shortened

ORDER = 1500.0
"""Place of the panel among the parts of the page: below the progress, above the images of the cameras."""
ONLY = "the only one"
"""Choice of the object if only one is seen."""
_NOTHING = "nothing yet"


@dataclass(frozen=True)
class TeachingActions:
    """Functions that the panel calls from the page's server; each must return at once.

    Attributes:
        teach: Called with the name, and the number of the object that was chosen; None is the only one.
        forget: Called with the name of a taught object.
    """

    teach: Callable[[str, int | None], object]
    forget: Callable[[str], object]


class TeachingPanel:
    """The panel; its methods may be called from any thread.

    Args:
        gui: The GUI of viser's server.
        actions: Functions behind its buttons.
        escaped: Escapes text for Markdown.
    """

    def __init__(self, gui: Any, actions: TeachingActions, escaped: Callable[[str], str]) -> None:
        self._gui, self._escaped = gui, escaped
        self._pictures: dict[str, Any] = {}
        with gui.add_folder("Teach an object", order=ORDER):
            name = gui.add_text("name", "", hint='e.g. "my mug"; a name that exists gets more views')
            self._which = gui.add_dropdown("object", [ONLY], hint="its number in the image", visible=False)
            teach = gui.add_button("teach")
            self._words = gui.add_markdown("Put one object on the table, name it, and press teach.")
            self._views = gui.add_folder(None)
            self._taught = gui.add_dropdown("taught", [_NOTHING])
            forget = gui.add_button("forget")
            self._learnt = gui.add_folder(None)

        @teach.on_click
        async def _(_: Any) -> None:
            chosen = str(self._which.value)
            actions.teach(name.value, int(chosen) if chosen.isdecimal() and chosen in self._which.options else None)

        @forget.on_click
        async def _(_: Any) -> None:
            # A browser may send any text as its choice.
            if self._taught.value in self._taught.options and self._taught.value != _NOTHING:
                actions.forget(str(self._taught.value))

    def say(self, line: str) -> None:
        """Show one line: what is done, why a view was refused, or the view that would help most."""
        self._words.content = self._escaped(shortened(line, 300))

    def show_choices(self, count: int) -> None:
        """Offer the numbers of several objects; 0 hides the choice: the only one is meant."""
        self._which.options = [ONLY, *(str(number + 1) for number in range(count))]
        self._which.value = ONLY
        self._which.visible = count > 0

    def show_views(self, picture: np.ndarray | None) -> None:
        """Show the views of the object that is taught, (h, w, 3) uint8 RGB; None removes the picture."""
        self._show("views", picture, self._views)

    def show_taught(self, names: Sequence[str], picture: np.ndarray | None) -> None:
        """Show the names of the taught objects, and their picture (h, w, 3) uint8 RGB."""
        chosen = self._taught.value
        self._taught.options = list(names) or [_NOTHING]
        self._taught.value = chosen if chosen in self._taught.options else self._taught.options[-1]
        self._show("taught objects", picture, self._learnt)

    def _show(self, label: str, picture: np.ndarray | None, folder: Any) -> None:
        if label in self._pictures and picture is not None:
            self._pictures[label].image = picture
        elif picture is not None:
            with folder:
                self._pictures[label] = self._gui.add_image(picture, label=label, format="jpeg")
        elif label in self._pictures:
            self._pictures.pop(label).remove()
