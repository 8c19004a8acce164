"""The check of the headers in which a browser names the origin of a request, as ASGI middleware.

The rule: without a token, only the headers that browsers send truthfully keep foreign web pages out. The owner of a
page can point a name of his at this machine (DNS rebinding), so `Host` is checked for every request. A page of another
site may send a form anywhere, so `Sec-Fetch-Site` and `Origin` are checked for each request that may change state.

`http/app.py` installs it if there are no tokens. gRPC needs no such check: browsers send no HTTP/2 without TLS.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from ..api.words import ErrorAnswer
from .body import BodyReceipt, settle
from .errors import answer

HOST_REFUSED = ErrorAnswer(
    403,
    "ERR_HOST_NOT_ALLOWED",
    "the Host {host!r} is no name of this daemon. Without an API token, only addresses, names without a dot and names "
    "given with --allowed-host are answered, so that no web page can reach it under another name. Add "
    "--allowed-host NAME, or set a token.",
)
ORIGIN_REFUSED = ErrorAnswer(
    403,
    "ERR_ORIGIN_NOT_ALLOWED",
    "the request comes from a web page of another origin ({origin}), which may change nothing here as long as there is "
    "no API token. Send it from a page of the daemon's own address, or set a token.",
)

READING = frozenset({"GET", "HEAD", "OPTIONS"})  # methods whose routes change no state
OWN_SITES = frozenset({b"none", b"same-origin"})  # none: the user typed the address or opened a bookmark
ANY = "*"

NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
PORT = re.compile("(:[0-9]*)?")

KNOWN_MAX = 256  # how many values of Host are cached


class BrowserGuard:
    """Answers 403 to a request that a browser may have sent for a page of another site.

    Args:
        allowed_hosts: Names that are allowed besides addresses and names without a dot. `.example.com` means that name
            and all names below it, and `*` all names.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        self.app = app
        self.hosts = AllowedHosts(allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := self.refusal(scope)) is not None:
            response = answer(*refused)
            await settle(scope, BodyReceipt(receive), response)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Return the answer to a request that is refused; None if the request is allowed."""
        changes = scope["method"] not in READING
        host = b""
        origins = []
        for name, value in scope["headers"]:
            if name == b"host":
                # A browser always sends a Host; a client of HTTP/1.0 may omit it.
                if value and not self.hosts.allow(value):
                    return _filled(HOST_REFUSED, host=_shown(value))
                host = value
            elif changes and name == b"origin":
                origins.append(value)
            elif changes and name == b"sec-fetch-site" and value not in OWN_SITES:
                return _filled(ORIGIN_REFUSED, origin=f"Sec-Fetch-Site: {_shown(value)}")
        for origin in origins:
            if not self.hosts.own(origin, host):
                return _filled(ORIGIN_REFUSED, origin=f"Origin: {_shown(origin)}")
        return None


class AllowedHosts:
    """The names under which callers may reach this daemon.

    Args:
        names: As for `BrowserGuard`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        given = [name.lower().removesuffix(".") for name in names]
        self.any = ANY in given
        self.names = {name.removeprefix(".") for name in given} | {socket.gethostname().lower()}
        self.suffixes = tuple(name for name in given if name.startswith("."))
        self.known: set[bytes] = set()

    def allow(self, header: bytes) -> bool:
        """Return whether a value of Host names this daemon."""
        if header in self.known:
            return True
        name = name_in(header.decode("latin-1"))
        allowed = name is not None and (self.any or is_plain(name) or self.has(name))
        if allowed and len(self.known) < KNOWN_MAX:
            self.known.add(header)
        return allowed

    def own(self, origin: bytes, host: bytes) -> bool:
        """Return whether an Origin is this daemon's: it is equal to Host, or its host was allowed by name."""
        scheme, separator, authority = origin.decode("latin-1").lower().partition("://")
        if not separator or scheme not in ("http", "https"):
            return False  # also "null", which a sandboxed frame sends
        name = name_in(authority)
        return authority.encode("latin-1") == host.lower() or (name is not None and (self.any or self.has(name)))

    def has(self, name: str) -> bool:
        """Return whether a name was given, or is the name of this machine."""
        return name in self.names or name.endswith(self.suffixes)


def name_in(authority: str) -> str | None:
    """Return the name or the address in `name:port`, in lower case; None if the text has another form."""
    text = authority.strip().lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        return name if bracket and ":" in name and PORT.fullmatch(port) else None
    name, colon, port = text.partition(":")
    return name.removesuffix(".") if NAME.fullmatch(name) and PORT.fullmatch(colon + port) else None


def is_plain(name: str) -> bool:
    """Return whether DNS cannot point a name at this machine: it is an address, or has no dot."""
    if "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _shown(value: bytes) -> str:
    return value[:100].decode("latin-1")


def _filled(refused: ErrorAnswer, **values: str) -> tuple[int, str, str]:
    return refused.status, refused.code, refused.message.format(**values)
