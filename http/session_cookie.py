"""The cookie that identifies a browser after its login.

The rule: the cookie never contains the token. Its value is a time and a seal, made with a key that is derived from the
token. So each host that has the token can check the cookie, and the removal of a token invalidates its cookies. The
cookie opens `/api/v1` only (`http/auth.py`), so that a browser cannot stop the daemon with it.

`http/management/routes/session.py` sets and deletes it.
"""

import re
from collections.abc import Iterator

from starlette.types import Scope

from ..api.tokens import Tokens

LASTS_S = 12 * 3600
VALUE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})")


def cookie_name(scope: Scope) -> str:
    """Return the name of the cookie. It has the port, because browsers send a host's cookies to all its ports."""
    server = scope.get("server")
    port = server[1] if server is not None else None
    return f"perdure-{port or 0}"


def cookie_value(tokens: Tokens, token: bytes, *, now_s: int) -> str | None:
    """Make the value of a cookie; None if the token is unknown.

    Args:
        now_s: Unix time in seconds.
    """
    until_s = now_s + LASTS_S
    seal = tokens.seal(token, sealed_text(until_s))
    return f"{until_s}.{seal.hex()}" if seal is not None else None


def set_cookie(scope: Scope, value: str, *, path: str, lasts_s: int = LASTS_S) -> str:
    """Return the header that sets the cookie, or with `lasts_s=0` deletes it."""
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{cookie_name(scope)}={value}; Path={path}; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}"


def known_by_cookie(tokens: Tokens, scope: Scope, *, now_s: float) -> str | None:
    """Return the name of the token with which the browser has logged in; None if its login is missing or expired."""
    for value in cookies_of(scope, cookie_name(scope)):
        found = VALUE.fullmatch(value)
        if found is not None and now_s < int(found[1]) <= now_s + LASTS_S:
            token_name = tokens.sealed_by(sealed_text(int(found[1])), bytes.fromhex(found[2]))
            if token_name is not None:
                return token_name
    return None


def sealed_text(until_s: int) -> bytes:
    """Return the text that the seal of a cookie covers."""
    return f"perdure session until {until_s}".encode()


def cookies_of(scope: Scope, name: str) -> Iterator[str]:
    """Yield the values of a cookie: a browser may send several of one name, from several paths."""
    for header, value in scope["headers"]:
        if header == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, text = pair.strip().partition("=")
                if key == name:
                    yield text
