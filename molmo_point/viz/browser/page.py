"""Page in the browser: a 3D scene, the cameras' images, the progress, a box for commands, and a stop."""

import contextlib
import html
import io
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import numpy as np

from molmo_point.dependencies import require
from molmo_point.errors import DependencyError, InputError
from molmo_point.geometry.transforms import Transform
from molmo_point.viz.browser.access import access_of
from molmo_point.viz.browser.guarded_server import guarded
from molmo_point.viz.browser.teaching_panel import TeachingActions, TeachingPanel
from molmo_point.viz.text import AMBER, INK, RGB, shortened

_LINES = 8
_CAUTIONS_ORDER, _WORDS_ORDER, _IMAGES_ORDER = 900.0, 1000.0, 2000.0
_CAUTION_STYLE = (
    f"background: rgb{AMBER}; color: rgb{INK}; margin: 0 0.6em 0.5em; padding: 0.3em 0.7em; border-radius: 2px; "
    "font-size: 0.85em; line-height: 1.35"
)
_SILENCE_S = 3.0
_STOPPED = "## STOPPED\n\nNothing moves, and no command waits. Press Resume, or give a new command."


@dataclass(frozen=True)
class PageActions:
    """Functions that a page calls from its server's thread; each must return at once.

    Attributes:
        command: Called with every command.
        stop: Called at every press of STOP.
        resume: Called at every press of Resume.
        closed: Called when the last browser has gone; None is not interested.
        teaching: Functions behind the panel for teaching; None shows no panel.
    """

    command: Callable[[str], object]
    stop: Callable[[], object]
    resume: Callable[[], object]
    closed: Callable[[], object] | None = None
    teaching: TeachingActions | None = None


class Page:
    """A web server with one page.

    Args:
        actions: Functions behind the page's box and buttons.
        host: Address to listen at; the default serves this machine only.
        port: Port to listen at; 0 takes a free one.
        public_origins: Origins under which a proxy serves the page: "https://robots.example.org".
        token: Secret that a browser must bring; None makes one if the page can be reached from beyond this machine.

    Attributes:
        url: Address of the page, with its token.
        teaching: Panel for teaching; None without functions for it.

    Raises:
        DependencyError: viser is not installed, or is one whose server cannot be guarded.
        InputError: The address cannot be listened at, or an origin or the token is not valid.
    """

    def __init__(
        self,
        actions: PageActions,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        public_origins: Sequence[str] = (),
        token: str | None = None,
    ) -> None:
        viser = require("viser", "The live view", "view")
        listener = _listen(host, port)
        try:
            address, number = listener.getsockname()[:2]
            local_only = ip_address(address).is_loopback
            if token is None:
                token = "" if local_only and not public_origins else secrets.token_urlsafe(24)
            access = access_of(host, local_only, number, public_origins, token)
            ping_s = None if actions.closed is None else _SILENCE_S
            # The library's own lines name an address without the token.
            with guarded(access, listener, ping_s=ping_s) as in_place, contextlib.redirect_stdout(io.StringIO()):
                self._server = viser.ViserServer(host=address, port=number, label="molmo-point", verbose=False)
            if not in_place():
                self._server.stop()
                raise DependencyError("viser must have a server that can be guarded", viser.__version__, "pip install 'viser<2'")
        except BaseException:
            listener.close()
            raise
        shown = public_origins[0].rstrip("/") if public_origins else f"http://{_shown_host(host, address)}:{number}"
        self.url = f"{shown}/?token={token}" if token else shown
        self._images: dict[str, Any] = {}
        self._bodies: dict[str, Any] = {}
        self._layers: dict[str, list[Any]] = {}
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._is_closed = False
        self._draw(actions)

    def _draw(self, actions: PageActions) -> None:
        self._server.scene.set_up_direction("+z")
        self._server.scene.add_grid("/grid", width=2.0, height=2.0, cell_size=0.1, section_size=0.5, position=(0, 0, -0.001))
        self._server.initial_camera.position = (0.75, -0.95, 0.75)
        self._server.initial_camera.look_at = (-0.15, 0.0, 0.15)
        gui = self._server.gui
        gui.configure_theme(show_share_button=False)
        self._box = gui.add_text("command", "", hint='e.g. "pick up the red cube and put it aside"')
        send, stop = gui.add_button("do it"), gui.add_button("STOP", color="red")
        self._resume = gui.add_button("Resume", color="green", visible=False)
        # Below the buttons, which stay where they are: a second press of STOP must not meet another one.
        self._state = gui.add_markdown(_STOPPED, visible=False)
        self._cautions = gui.add_html("", order=_CAUTIONS_ORDER, visible=False)
        self._words = gui.add_markdown("ready", order=_WORDS_ORDER)
        self.teaching = None if actions.teaching is None else TeachingPanel(gui, actions.teaching, _escaped)

        # Coroutines run in the server's thread, in the order of the messages; functions would wait for a free thread.
        @send.on_click
        async def _(_: Any) -> None:
            actions.command(self._box.value)

        @stop.on_click
        async def _(_: Any) -> None:
            actions.stop()

        @self._resume.on_click
        async def _(_: Any) -> None:
            actions.resume()

        @self._server.on_client_disconnect
        async def _(_: Any) -> None:
            if actions.closed is not None and not self._is_closed and not self._server.get_clients():
                actions.closed()

    def show_stopped(self, stopped: bool) -> None:
        """Show that the arm is stopped, with the Resume button, or that it is not."""
        self._state.visible = self._resume.visible = stopped

    def say(self, line: str) -> None:
        """Add a line to the progress."""
        with self._lock:
            self._lines = [*self._lines, shortened(line, 120)][-_LINES:]
            text = "\n".join(f"- {_escaped(each)}" for each in self._lines)
        self._words.content = text

    def show_cautions(self, lines: Sequence[str]) -> None:
        """Show the cautions about the last answer, one line each; without any, their box disappears."""
        told = "<br>".join(html.escape(shortened(line, 300)) for line in lines)
        self._cautions.content, self._cautions.visible = f'<div style="{_CAUTION_STYLE}">{told}</div>', bool(lines)

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
        self._is_closed = True
        with contextlib.redirect_stdout(io.StringIO()):
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


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise InputError("--port must be 0 to 65535", str(port), "give another --port")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4][:2], family=found[0][0])
    except (OSError, OverflowError, UnicodeError, ValueError) as error:
        raise InputError("--host and --port must be free", f"{host}:{port}: {error}", "give another --port") from error


def _shown_host(host: str, address: str) -> str:
    """Host for a browser's address bar; for a page that listens everywhere, this machine's own address."""
    if ip_address(address).is_unspecified:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as route:
            try:
                # Nothing is sent: the system only chooses the address that others reach.
                route.connect(("2001:db8::1" if ":" in address else "192.0.2.1", 9))
                host = str(route.getsockname()[0])
            except OSError:
                host = socket.gethostname()
    return f"[{host}]" if ":" in host else host
