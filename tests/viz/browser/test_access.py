"""Rules for requests to the page, by raw requests as an attacker sends them: hosts, origins, tokens, and messages."""

import socket

import pytest

pytest.importorskip("viser", reason="viser is not installed: pip install 'molmo-point[view]'")

from molmo_point.errors import InputError
from molmo_point.viz.browser.access import access_of
from molmo_point.viz.browser.page import Page, PageActions
from tests.viz.browser.browser_protocol import Tab, answer_to, status_of

UPGRADE = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
]
TOKEN = "a-token-of-this-test"


@pytest.fixture(scope="module")
def served():
    """A page on this machine: its port, what was typed on it, and how often STOP was pressed."""
    typed, stops = [], []
    page = Page(PageActions(typed.append, lambda: stops.append("stop"), print), port=0)
    yield int(page.url.rpartition(":")[2]), typed, stops
    page.close()


@pytest.fixture(scope="module")
def guarded_by_token():
    """A page behind a proxy, with a token: its port."""
    actions = PageActions(print, print, print)
    page = Page(actions, port=0, public_origins=("https://robots.example.org",), token=TOKEN)
    assert page.url == f"https://robots.example.org/?token={TOKEN}"
    yield page._server.get_port()
    page.close()


OWN = ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST:{port}", "localhost.:{port}", "[::1]:{port}", "127.9.9.9", "localhost"]
FOREIGN = [
    *(
        "somewhere.example",
        "localhost.somewhere.example",
        "somewhere.example:{port}",
        "127.0.0.1.somewhere.example",
        "0.0.0.0:{port}",
    ),
    *(
        "192.168.1.7:{port}",
        "[2001:db8::1]:{port}",
        "",
        " ",
        ":{port}",
        "localhost:",
        "localhost:x",
        "localhost:99999",
        "[::1",
        "::1",
    ),
    *("user@localhost:{port}", "localhost/x", "localhost?x", "localhost, somewhere.example", "127.1", "0x7f.0.0.1", "2130706433"),
    *(
        "0.0.0.0:{port}",
        "::1",
        "[::ffff:192.0.2.1]",
        "[::1%25eth0]",
        "loc\xe4lhost",
        "localhost\\x",
        "foo.localhost",
        "localhost#",
    ),
]


@pytest.mark.parametrize("path", ["/", "/index.html", "/?websocket=ws://somewhere.example", "//", "/nothing", "/%2e%2e/x"])
@pytest.mark.parametrize("host", OWN[:2])
def test_own_names_are_answered_on_every_path(served, host, path):
    assert status_of(served[0], path, [f"Host: {host.format(port=served[0])}"]) in (200, 404)


@pytest.mark.parametrize("host", OWN)
def test_all_names_of_this_machine_are_answered(served, host):
    host = host.format(port=served[0])
    assert status_of(served[0], "/", [f"Host: {host}"]) == 200
    assert status_of(served[0], "/", [f"Host: {host}", f"Origin: http://{host}", *UPGRADE]) == 101


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_names_are_refused_for_files_and_websockets(served, host):
    host = host.format(port=served[0])
    for more in ([], UPGRADE, [f"Origin: http://{host}", *UPGRADE]):
        assert status_of(served[0], "/", [f"Host: {host}", *more]) in (400, 403), host


def test_a_host_comes_once_and_a_target_is_a_path(served):
    port, good = served[0], f"Host: localhost:{served[0]}"
    assert status_of(port, "/", []) == 403
    assert status_of(port, "/", [good, "Host: somewhere.example"]) == 403
    assert status_of(port, "/", [good, good]) == 403
    for target in (f"http://localhost:{port}/", "http://somewhere.example/", "*", "index.html", "\\\\x"):
        assert status_of(port, target, [good]) == 400
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2"):
        assert status_of(port, "/", [good], version) in (0, 400, 505)


ORIGINS = [
    *(
        "http://somewhere.example",
        "null",
        "",
        "http://localhost.somewhere.example:{port}",
        "http://localhost:1",
        "localhost:{port}",
    ),
    *(
        "localhost:{port}",
        "https://localhost:1",
        "file://",
        "chrome-extension://abc",
        "http://user@localhost:{port}",
        "http://192.168.1.7:{port}",
    ),
    *("http://localhost:{port}/path", "http://", "http://localhost", "javascript://localhost:{port}", "HTTP://SOMEWHERE.EXAMPLE"),
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_foreign_page_is_refused(served, origin):
    given = origin.format(port=served[0])
    for more in ([], UPGRADE, ["Upgrade: WebSocket"]):
        assert status_of(served[0], "/", [f"Host: localhost:{served[0]}", f"Origin: {given}", *more]) == 403, given


def test_two_origins_are_refused_and_none_is_a_program(served):
    host, own = f"Host: localhost:{served[0]}", f"Origin: http://localhost:{served[0]}"
    assert status_of(served[0], "/", [host, own, own, *UPGRADE]) == 403
    assert status_of(served[0], "/", [host, own, "Origin: http://somewhere.example", *UPGRADE]) == 403
    assert status_of(served[0], "/", [host, *UPGRADE]) == 101
    assert status_of(served[0], "/", [host, f"Origin: http://127.0.0.1:{served[0]}", *UPGRADE]) == 101


def test_the_page_is_no_frame_of_another_page_and_names_no_software(served):
    answer = answer_to(served[0], "/", [f"Host: localhost:{served[0]}"]).lower()
    assert b"x-frame-options: deny" in answer and b"frame-ancestors 'none'" in answer and b"\r\nserver:" not in answer


def test_a_token_is_asked_for_and_becomes_a_cookie(guarded_by_token):
    port, host = guarded_by_token, "Host: robots.example.org"
    own = ["Origin: https://robots.example.org", *UPGRADE]
    for target, more in (
        ("/", []),
        ("/index.html", []),
        ("/", own),
        ("/?token=wrong", []),
        ("/?token=", own),
        ("/?token=%ff", []),
    ):
        assert status_of(port, target, [host, *more]) == 401
    cookie = f"Cookie: other=1; molmo_point_{port}={TOKEN}"
    assert status_of(port, "/", [host, cookie]) == 200
    assert status_of(port, "/", [host, cookie, *own]) == 101
    assert status_of(port, "/", [host, f"Cookie: molmo_point_1={TOKEN}"]) == 401
    answer = answer_to(port, f"/?token={TOKEN}", [host])
    assert b" 303 " in answer and b"Location: ./\r" in answer
    assert f"Set-Cookie: molmo_point_{port}={TOKEN}; HttpOnly; SameSite=Lax; Path=/".encode() in answer
    assert status_of(port, f"/?token={TOKEN}", [host, *own]) == 101


@pytest.mark.parametrize("origin", ["http://robots.example.org", "https://robots.example.org:444", "https://example.org"])
def test_behind_a_proxy_only_its_own_origin_is_admitted(guarded_by_token, origin):
    for host in ("robots.example.org", f"localhost:{guarded_by_token}"):
        headers = [f"Host: {host}", f"Cookie: molmo_point_{guarded_by_token}={TOKEN}"]
        assert status_of(guarded_by_token, "/", [*headers, f"Origin: {origin}", *UPGRADE]) == 403
        assert status_of(guarded_by_token, "/", [*headers, "Origin: https://ROBOTS.example.org:443", *UPGRADE]) == 101


def test_beyond_this_machine_there_is_a_token():
    page = Page(PageActions(print, print, print), host="0.0.0.0", port=0)
    try:
        port, token = page._server.get_port(), page.url.partition("token=")[2]
        assert len(token) >= 32 and "0.0.0.0" not in page.url
        for host in (f"10.0.0.7:{port}", f"localhost:{port}", socket.gethostname(), f"{socket.gethostname()}.local:{port}"):
            assert status_of(port, "/", [f"Host: {host}"]) == 401
            assert status_of(port, f"/?token={token}", [f"Host: {host}"]) == 303
        assert status_of(port, f"/?token={token}", ["Host: somewhere.example"]) == 403
        # Any address is a name of the page, but only the address that was opened is its origin.
        headers = [f"Host: 10.0.0.7:{port}", f"Cookie: molmo_point_{port}={token}", *UPGRADE]
        assert status_of(port, "/", [*headers, f"Origin: http://10.0.0.8:{port}"]) == 403
        assert status_of(port, "/", [*headers, f"Origin: http://10.0.0.7:{port}"]) == 101
    finally:
        page.close()


@pytest.mark.parametrize(
    "origin", ["robots.example.org", "", "ftp://x", "https://", "https://a b", "https://x/path", "https://x?y"]
)
def test_a_public_origin_is_a_scheme_and_a_host(origin):
    with pytest.raises(InputError, match="--public-origin"):
        access_of("127.0.0.1", True, 8080, [origin], "")


@pytest.mark.parametrize("token", ["x" * 15, "with a blank in between", "semicolon;semicolon", "ümläut-ümläut-ümläut", "\n" * 20])
def test_a_token_is_long_and_fits_into_a_cookie(token):
    with pytest.raises(InputError, match="token"):
        access_of("127.0.0.1", True, 8080, [], token)


def test_a_browser_changes_values_and_nothing_else(served):
    port, typed, stops = served
    tab = Tab(port)
    tab.do("pick up the red ball")
    assert tab.until(lambda: typed == ["pick up the red ball"])
    stop = tab.labels["STOP"]
    for message in ({"type": "ShareUrlRequest"}, {"type": "NoSuchMessage"}, "words", {"type": 7}):
        tab.send(message)
    tab.update("STOP", value=True)
    assert tab.until(lambda: stops == ["stop"])
    for updates in (
        {"update_cb": []},
        {"removed": True},
        {"value": "x" * 4001},
        {"value": [1]},
        {"value": True, "label": "GO"},
        {},
    ):
        other = Tab(port)
        other.send({"type": "GuiUpdateMessage", "uuid": stop, "updates": updates})
        assert other.until(lambda tab=other: tab.closed), updates
    for message in (b"", b"\xff" * 100, b"\x91" * 5000, b"x" * 40_000, {"type": "ViewerCameraMessage"}):
        other = Tab(port)
        other.send(message)
        assert other.until(lambda tab=other: tab.closed), message
    tab.update("STOP", value=True)
    assert tab.until(lambda: len(stops) == 2)
    assert typed == ["pick up the red ball"]
    tab.socket.close()
