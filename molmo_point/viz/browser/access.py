"""Rules for requests to the page: host names, origins of other pages, and the token.

A browser sends any page's requests to this machine, so a loopback address alone keeps no web page out. Three checks do:

- The `Host` must be a name of the page. A foreign name that resolves to this machine (DNS rebinding) is refused.
- The `Origin`, which browsers add to every websocket, must be the page's own. Programs send none, and may leave it out.
- Beyond this machine, a token is needed: once in the address, then in a cookie.
"""

import hmac
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from molmo_point.errors import InputError

MIN_TOKEN_LENGTH = 16
_LOCAL = "localhost"
_DEFAULT_PORTS = {"http": 80, "https": 443}

Headers = Sequence[tuple[str, str]]
"""Names and values of a request's headers, repeated ones included."""
Place = tuple[str, int | None]
"""Name of a host in lower case, and a port; None is the scheme's default."""


@dataclass(frozen=True)
class Refusal:
    """A refused request: the status, and a line for people."""

    status: HTTPStatus
    line: str


@dataclass(frozen=True)
class Access:
    """Names of a page and the token for it.

    Attributes:
        names: Host names that mean this page, besides addresses.
        local_only: True if the page listens to this machine only; then it has loopback addresses only.
        public_origins: Origins under which a proxy serves the page: "https://robots.example.org".
        token: Secret for a browser; "" asks for none.
        cookie: Name of the cookie with the token; cookies are shared among the ports of a host.
    """

    names: frozenset[str]
    local_only: bool
    public_origins: frozenset[tuple[str, str, int]]
    token: str
    cookie: str

    def refusal(self, target: str, headers: Headers) -> Refusal | None:
        """Check a request; None admits it.

        Args:
            target: Target of the request line.
            headers: Its headers.
        """
        if not target.startswith("/"):
            return Refusal(HTTPStatus.BAD_REQUEST, "The request must name a path.")
        host = _place(_only(headers, "host"))
        if host is None or not self._is_named(host):
            line = "The page has another host name. Fix: open the address that molmo-point view prints, or add --public-origin."
            return Refusal(HTTPStatus.FORBIDDEN, line)
        if any(name.lower() == "origin" for name, _ in headers) and not self._is_own(_only(headers, "origin"), host):
            return Refusal(HTTPStatus.FORBIDDEN, "The request must come from the page itself.")
        if self.token and not any(_same(self.token, each) for each in (query_token(target), *self._cookies(headers))):
            return Refusal(HTTPStatus.UNAUTHORIZED, "A token is needed. Fix: open the address that molmo-point view prints.")
        return None

    def _is_named(self, host: Place) -> bool:
        name, port = host
        if any(name == public and port in (at, None) for _, public, at in self.public_origins):
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return name in self.names
        # No DNS is asked for an address, so it cannot be rebound.
        return address.is_loopback or not self.local_only

    def _is_own(self, origin: str, host: Place) -> bool:
        parts = _origin(origin)
        if parts is None:
            return False
        scheme, name, port = parts
        if any(name == public for _, public, _ in self.public_origins):
            # The same name without TLS is another page.
            return parts in self.public_origins
        own = name == host[0] or (_is_local(name) and _is_local(host[0]))
        return own and port == (_DEFAULT_PORTS[scheme] if host[1] is None else host[1])

    def _cookies(self, headers: Headers) -> list[str]:
        pairs = (pair.strip().partition("=") for name, value in headers if name.lower() == "cookie" for pair in value.split(";"))
        return [value for name, _, value in pairs if name == self.cookie]


def access_of(host: str, local_only: bool, port: int, public_origins: Iterable[str], token: str) -> Access:
    """Rules of a page that listens at a host and a port.

    Args:
        host: Name or address that the page listens at.
        local_only: True if only this machine reaches it.
        port: Its port.
        public_origins: Origins under which a proxy serves it.
        token: Secret for browsers; "" asks for none.

    Raises:
        InputError: An origin is none, or the token is short or has other letters than a cookie may.
    """
    machine = socket.gethostname().lower()
    names = {_LOCAL} if local_only else {_LOCAL, machine, f"{machine}.local", _name(host)}
    if token and not (len(token) >= MIN_TOKEN_LENGTH and token.isascii() and token.replace("-", "").replace("_", "").isalnum()):
        condition = f"The token must have at least {MIN_TOKEN_LENGTH} letters, digits, - and _"
        raise InputError(
            condition, f"{len(token)} characters", "make one with: python -c 'import secrets; print(secrets.token_hex())'"
        )
    return Access(frozenset(names), local_only, frozenset(map(_public, public_origins)), token, f"molmo_point_{port}")


def query_token(target: str) -> str:
    """Token in the query of a target; "" without one."""
    return dict(parse_qsl(target.partition("?")[2])).get("token", "")


def _public(text: str) -> tuple[str, str, int]:
    found = _origin(text.rstrip("/"))
    if found is None:
        raise InputError("--public-origin must be a scheme and a host", repr(text), "e.g. https://robots.example.org")
    return found


def _origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, name and port of an origin; None for "null" and for anything with more than these."""
    scheme, mark, rest = text.partition("://")
    place = _place(rest)
    if not mark or place is None or scheme.lower() not in _DEFAULT_PORTS:
        return None
    return scheme.lower(), place[0], _DEFAULT_PORTS[scheme.lower()] if place[1] is None else place[1]


def _place(text: str) -> Place | None:
    """Name and port of a host as a browser writes it; None for everything else."""
    if not text or not text.isascii() or any(letter in "@/?#\\ %," or not letter.isprintable() for letter in text):
        return None
    try:
        parts = urlsplit(f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (_name(name), port) if name and not text.endswith(":") else None


def _name(text: str) -> str:
    """Name in lower case, without the dot of the root; an address in its shortest form."""
    name = text.lower().removesuffix(".")
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _is_local(name: str) -> bool:
    try:
        return name == _LOCAL or ip_address(name).is_loopback
    except ValueError:
        return False


def _only(headers: Headers, wanted: str) -> str:
    """Value of a header that must come once; "" otherwise."""
    found = [value for name, value in headers if name.lower() == wanted]
    return found[0] if len(found) == 1 else ""


def _same(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode(), given.encode("utf-8", "surrogateescape"))
