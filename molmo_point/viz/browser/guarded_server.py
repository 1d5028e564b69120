"""Guard of viser's server: every request and every message of a browser is checked before viser sees it.

viser has one server for files and websockets and no hook in front of it. `guarded` gives that server one while viser starts
it, with a listening socket of our own. A viser that starts another server never listens on that socket.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

from molmo_point.viz.browser.access import Access, query_token

MAX_TEXT = 4000
"""Most characters of the command box, above what a command may have: a longer text is refused as a whole, not cut."""
_MAX_MESSAGE_BYTES = 32_768
_PROTECTION = {
    # The page must not be a frame of another page, which could lay something harmless over its buttons.
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_NEEDED = ("GuiUpdateMessage", "ViewerCameraMessage")
_starting = threading.Lock()


@contextlib.contextmanager
def guarded(access: Access, listener: socket.socket, *, ping_s: float | None) -> Iterator[Callable[[], bool]]:
    """Context in which viser starts its server behind the guard.

    Args:
        access: Rules for requests.
        listener: Socket that listens at the page's address.
        ping_s: Seconds of silence after which a browser counts as closed; None takes the library's own.

    Yields:
        A function that tells whether the guard is in place.
    """
    from websockets.asyncio import server

    original, started = server.serve, threading.Event()
    log = logging.getLogger("molmo_point.page")
    log.propagate = False
    log.addHandler(logging.NullHandler())

    def serve(handler: Any, host: Any, port: Any, *, process_request: Any, **options: Any) -> Any:
        del host, port
        started.set()
        checked = {"process_request": _checked(access, process_request), "process_response": _protected}
        limits: dict[str, Any] = {"max_size": _MAX_MESSAGE_BYTES, "create_connection": _connection_class(), "logger": log}
        pings = {} if ping_s is None else {"ping_interval": ping_s / 3, "ping_timeout": ping_s * 2 / 3}
        return original(handler, sock=listener, server_header=None, **{**options, **checked, **limits, **pings})

    with _starting:
        server.serve = serve  # type: ignore[assignment, misc]
        try:
            yield started.is_set
        finally:
            server.serve = original  # type: ignore[misc]


def _checked(access: Access, serve_file: Any) -> Any:
    """Check a request, then let viser answer it."""

    def process(connection: Any, request: Any) -> Any:
        refusal = access.refusal(request.path, list(request.headers.raw_items()))
        if refusal is not None:
            return connection.respond(refusal.status, f"{refusal.line}\n")
        is_websocket = any(value.lower() == "websocket" for value in request.headers.get_all("Upgrade"))
        if access.token and not is_websocket and query_token(request.path):
            # The token leaves the address bar, the history, and the bookmarks.
            answer = connection.respond(HTTPStatus.SEE_OTHER, "")
            answer.headers["Location"] = "./"
            answer.headers["Set-Cookie"] = f"{access.cookie}={access.token}; HttpOnly; SameSite=Lax; Path=/"
            return answer
        return serve_file(connection, request)

    return process


def _protected(connection: Any, request: Any, response: Any) -> None:
    del connection, request
    for name, value in _PROTECTION.items():
        response.headers[name] = value


def _connection_class() -> Any:
    """Class of connections that hand on only what the page needs.

    viser sets any property that a browser names, and publishes the page on the internet when a browser asks for it.
    """
    import msgspec
    from websockets.asyncio.server import ServerConnection

    text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
    three, four = tuple[float, float, float], tuple[float, float, float, float]
    update = msgspec.defstruct("update", [("value", text | bool)], forbid_unknown_fields=True)
    changed = msgspec.defstruct("changed", [("uuid", text), ("updates", update)], tag="GuiUpdateMessage")
    look = [("wxyz", four), ("position", three), ("look_at", three), ("up_direction", three)]
    look += [(name, float) for name in ("fov", "near", "far")] + [(name, float) for name in ("image_height", "image_width")]
    moved = msgspec.defstruct("moved", look, tag="ViewerCameraMessage")
    decoder = msgspec.msgpack.Decoder(changed | moved)  # type: ignore[operator]
    any_message = msgspec.msgpack.Decoder(dict[str, Any])

    class Connection(ServerConnection):
        async def recv(self, decode: bool | None = None) -> Any:
            while True:
                message = await super().recv(decode)
                try:
                    if isinstance(message, bytes) and any_message.decode(message).get("type") in _NEEDED:
                        decoder.decode(message)
                        return message
                except (msgspec.DecodeError, RecursionError, ValueError):
                    # The browser connects again, and then shows the text that is valid here.
                    await self.close(1008, "not a message of the page")

    return Connection
