"""The URL of a request: its path, cleaned and split before it is decoded, and its query.

The rule: a path is split at its slashes *before* it is decoded, and each segment is decoded exactly once. Instance ids
may contain any character (ids of children have a `:`, callers choose `|`, `/`, spaces, emoji), and a slash in an id
arrives as `%2F`. ASGI's `scope["path"]` is already decoded, so routing uses the raw path.

Source: dapr `pkg/api/http/middlewares.go` (CleanPathMiddleware,
StripSlashesMiddleware) and `server.go` (unescapeRequestParametersHandler).
"""

import posixpath
import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]

BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class PathMalformed(Exception):
    """A segment of the path is not percent-encoded UTF-8."""


class QueryMalformed(PathMalformed):
    """A name or a value of the query is not UTF-8."""


class RawPath:
    """Puts the raw path, cleaned, into `scope["path"]` for the inner middleware and the router."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raw = scope.get("raw_path")
            path = clean(raw.decode("latin-1") if raw is not None else quote(scope["path"]))
            root = quote(scope.get("root_path", ""))  # the path under which another app has mounted this one
            if path == root:
                path += "/"
            if path != scope["path"] or root:
                scope = {**scope, "path": path, "root_path": root}
        await self.app(scope, receive, send)


def own_path(scope: Scope) -> str:
    """Return the path of a request below the mount point of this app. Requires that `RawPath` has run."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) or "/" if root else path


def clean(path: str) -> str:
    """Resolve empty, `.` and `..` segments and drop a trailing slash, as Go's `path.Clean` does.

    Escapes are not decoded: `%2F` and `%2E` are data, not structure.
    """
    if "//" not in path and "/." not in path and not path.endswith("/"):
        return path
    # Python keeps two leading slashes, which may have a special meaning in POSIX. In URLs they have none.
    return posixpath.normpath("/" + path.lstrip("/"))


def route(path: str, method: str, handler: Handler) -> Route:
    """Make a route for exactly one method.

    Starlette routes HEAD like GET. Dapr's router does not, and answers HEAD like any method without a route.
    """
    made = Route(path, handler, methods=[method])
    made.methods = {method}
    return made


def parameter(request: Request, name: str) -> str:
    """Decode one segment of the path, once.

    A `+` stays a plus. Dapr decodes path segments like query values, in which it is a space, so that an id with a plus
    cannot be reached there.

    Raises:
        PathMalformed: A `%` without two hex digits, or bytes that are not UTF-8.
    """
    raw: str = request.path_params[name]
    if "%" not in raw and raw.isascii():
        return raw
    if BAD_ESCAPE.search(raw):
        raise PathMalformed(f"{raw!r} has a % that no two hex digits follow")
    try:
        return unquote_to_bytes(raw.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise PathMalformed(f"{raw!r} is not UTF-8: {error.reason}") from None


def parameters(request: Request) -> dict[str, str]:
    """Decode every segment of the path. Raises PathMalformed."""
    return {name: parameter(request, name) for name in request.path_params}


def query(request: Request, key: str) -> str | None:
    """Return the first value of the query under a key, or None. Keys are case-sensitive, as in Go.

    Bytes that are not UTF-8 become U+FFFD, which the check of an id refuses.
    """
    raw: bytes = request.scope["query_string"]
    if not raw:
        return None
    for pair in raw.split(b"&"):
        name, _, value = pair.partition(b"=")
        if decode(name) == key:
            return decode(value)
    return None


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """Return the names and values of the query, decoded, in their order.

    Raises:
        QueryMalformed: Bytes that are not UTF-8. With a replacement character, several ids would become equal.
    """
    pairs = [pair.partition(b"=") for pair in request.scope["query_string"].split(b"&") if pair]
    try:
        return [(decode(name, "strict"), decode(value, "strict")) for name, _, value in pairs]
    except UnicodeDecodeError as error:
        raise QueryMalformed(f"{error.object!r} is not UTF-8: {error.reason}") from None


def decode(piece: bytes, errors: str = "replace") -> str:
    """Decode a name or a value of a query.

    Args:
        errors: The treatment of bytes that are not UTF-8, as for `bytes.decode`.
    """
    return unquote_to_bytes(piece.replace(b"+", b" ")).decode("utf-8", errors)
