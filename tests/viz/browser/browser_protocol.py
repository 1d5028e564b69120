"""A browser in a few lines: raw requests, and a websocket that speaks the protocol of the installed viser."""

import re
import socket
import threading
import time

import msgspec
import viser
import zstandard
from websockets.sync.client import connect

LOOK = {
    "type": "ViewerCameraMessage",
    "wxyz": [1.0, 0, 0, 0],
    "position": [1.0, 1.0, 1.0],
    "look_at": [0.0, 0, 0],
    "up_direction": [0.0, 0, 1.0],
    "fov": 1.0,
    "near": 0.01,
    "far": 100.0,
    "image_height": 480,
    "image_width": 640,
}


def status_of(port: int, target: str, headers: list[str], version: str = "HTTP/1.1", family: int = socket.AF_INET) -> int:
    """Send a request as it is written, and return the status; 0 for a connection that is only closed."""
    return int((re.match(rb"HTTP/1\.1 (\d+)", answer_to(port, target, headers, version, family)) or [b"", b"0"])[1])


def answer_to(port: int, target: str, headers: list[str], version: str = "HTTP/1.1", family: int = socket.AF_INET) -> bytes:
    """Send a request as it is written, and return the head of the answer."""
    with socket.socket(family, socket.SOCK_STREAM) as raw:
        raw.settimeout(10)
        raw.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        raw.sendall("\r\n".join([f"GET {target} {version}", *headers, "", ""]).encode("latin-1"))
        answer = b""
        while b"\r\n\r\n" not in answer and (part := raw.recv(65536)):
            answer += part
        return answer.partition(b"\r\n\r\n")[0]


class Tab:
    """One browser tab: texts and buttons by their labels, and the words on the page."""

    def __init__(self, port: int, origin: str | None = None, *, look: bool = True, **more: object) -> None:
        url = f"127.0.0.1:{port}"
        protocol = f"viser-v{viser.__version__}"
        origin = f"http://{url}" if origin is None else origin or None
        self.socket = connect(f"ws://{url}/", origin=origin, subprotocols=[protocol], max_size=None, **more)
        self.labels, self.shown, self.words, self.closed = {}, {}, "", False
        if look:
            self.send(LOOK)
        threading.Thread(target=self._read, daemon=True).start()
        assert self.until(lambda: {"command", "do it", "STOP", "Resume"} <= set(self.labels))

    def _read(self) -> None:
        try:
            for data in self.socket:
                length = int.from_bytes(data[8:16], "little")
                unpacked = zstandard.ZstdDecompressor().decompress(data[16 : 16 + length], max_output_size=1 << 28)
                for message in msgspec.msgpack.decode(unpacked)["messages"]:
                    self._take(message)
        except Exception:
            pass
        self.closed = True

    def _take(self, message: dict) -> None:
        values = message.get("props") or message.get("updates")
        if not message.get("type", "").startswith("Gui") or not isinstance(values, dict):
            return
        if values.get("label"):
            self.labels[values["label"]] = message["uuid"]
        if "visible" in values:
            self.shown[message["uuid"]] = values["visible"]
        self.words = values.get("_markdown", self.words)

    def resume_is_shown(self) -> bool:
        return bool(self.shown.get(self.labels["Resume"]))

    def send(self, message: object) -> None:
        self.socket.send(message if isinstance(message, (bytes, str)) else msgspec.msgpack.encode(message))

    def update(self, label: str, **values: object) -> None:
        self.send({"type": "GuiUpdateMessage", "uuid": self.labels[label], "updates": values})

    def do(self, text: str) -> None:
        self.update("command", value=text)
        self.update("do it", value=True)

    @staticmethod
    def until(done, seconds: float = 10.0) -> bool:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            time.sleep(0.02)
        return done()
