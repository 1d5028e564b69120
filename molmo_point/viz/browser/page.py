"""Page in the browser: a 3D scene, the cameras' images, the progress, and a box for commands."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from molmo_point.dependencies import require
from molmo_point.errors import InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.viz.text import RGB, shortened

_LINES = 8
_WORDS_ORDER, _IMAGES_ORDER = 1000.0, 2000.0


class Page:
    """A web server on this machine, with one page.

    Args:
        on_command: Called with every typed command, from a thread of the server.
        on_stop: Called at every press of the stop button, from a thread of the server.
        host: Address to listen at; the default serves this machine only.
        port: Port to listen at; 0 takes a free one.

    Attributes:
        url: Address of the page.

    Raises:
        DependencyError: viser is not installed.
        InputError: The port cannot be used.
    """

    def __init__(
        self,
        on_command: Callable[[str], None],
        on_stop: Callable[[], None],
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
    ) -> None:
        viser = require("viser", "The live view", "view")
        try:
            self._server = viser.ViserServer(host=host, port=port or _free_port(host), label="molmo-point", verbose=False)
        except OSError as error:
            raise InputError("--host and --port must be free", f"{host}:{port}: {error}", "give another --port") from error
        self.url = f"http://{host}:{self._server.get_port()}"
        self._images: dict[str, Any] = {}
        self._bodies: dict[str, Any] = {}
        self._layers: dict[str, list[Any]] = {}
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._server.scene.set_up_direction("+z")
        self._server.scene.add_grid("/grid", width=2.0, height=2.0, cell_size=0.1, section_size=0.5, position=(0, 0, -0.001))
        self._server.initial_camera.position = (0.75, -0.95, 0.75)
        self._server.initial_camera.look_at = (-0.15, 0.0, 0.15)
        gui = self._server.gui
        self._box = gui.add_text("command", "", hint='e.g. "pick up the red cube and put it aside"')
        send, stop = gui.add_button("do it"), gui.add_button("STOP", color="red")
        self._words = gui.add_markdown("ready", order=_WORDS_ORDER)
        send.on_click(lambda _: on_command(self._box.value))
        stop.on_click(lambda _: on_stop())

    def say(self, line: str) -> None:
        """Add a line to the progress."""
        with self._lock:
            self._lines = [*self._lines, shortened(line, 120)][-_LINES:]
            text = "\n".join(f"- {_escaped(each)}" for each in self._lines)
        self._words.content = text

    def image(self, name: str, picture: np.ndarray) -> None:
        """Show (h, w, 3) uint8 RGB under a name, in place of the last image of this name."""
        if name in self._images:
            self._images[name].image = picture
        else:
            self._images[name] = self._server.gui.add_image(
                picture, label=name, format="jpeg", order=_IMAGES_ORDER + len(self._images)
            )

    def body(self, name: str, vertices_m: np.ndarray, faces: np.ndarray, rgb: RGB) -> None:
        """Add a shape; `move` moves it by its name."""
        self._bodies[name] = self._server.scene.add_mesh_simple(f"/world/{name}", vertices_m, faces, color=rgb, side="double")

    def move(self, name: str, rotation: np.ndarray, position_m: np.ndarray) -> None:
        """Move a shape to a rotation (3, 3) and a position (3,), meters, base frame."""
        x, y, z, w = Transform("base", "body", rotation, position_m).quaternion_xyzw
        handle = self._bodies[name]
        handle.wxyz, handle.position = (w, x, y, z), tuple(float(value) for value in position_m)

    def cloud(self, name: str, points_m: np.ndarray, colors: np.ndarray) -> None:
        """Show points (n, 3), base frame, with colors (n, 3) uint8, in place of the last cloud of this name."""
        self._server.scene.add_point_cloud(f"/clouds/{name}", points_m.astype(np.float32), colors, point_size=0.002)

    def replace(self, kind: str) -> "Layer":
        """Remove all shapes of a kind, and return a layer for new ones."""
        for handle in self._layers.pop(kind, []):
            handle.remove()
        kept: list[Any] = []
        self._layers[kind] = kept
        return Layer(self._server.scene, f"/{kind}", kept)

    def update(self) -> Any:
        """Context that sends all changes at once."""
        return self._server.atomic()

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()


class Layer:
    """Adds shapes that are removed together."""

    def __init__(self, scene: Any, root: str, kept: list[Any]) -> None:
        self._scene, self._root, self._kept = scene, root, kept

    def _name(self) -> str:
        return f"{self._root}/{len(self._kept)}"

    def mesh(self, vertices_m: np.ndarray, faces: np.ndarray, rgb: RGB, opacity: float) -> None:
        """Add a translucent surface."""
        self._kept.append(self._scene.add_mesh_simple(self._name(), vertices_m, faces, color=rgb, opacity=opacity, side="double"))

    def lines(self, segments_m: np.ndarray, rgb: RGB, width_px: float) -> None:
        """Add lines (n, 2, 3)."""
        style = {"thickness": width_px, "thickness_units": "screen"}
        self._kept.append(self._scene.add_line_segments(self._name(), segments_m, rgb, **style))

    def label(self, text: str, position_m: np.ndarray) -> None:
        """Add words at a position (3,), meters, base frame."""
        self._kept.append(self._scene.add_label(self._name(), text, position=tuple(float(value) for value in position_m)))


def _escaped(text: str) -> str:
    """Escape text for Markdown and MDX."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in text)


def _free_port(host: str) -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
