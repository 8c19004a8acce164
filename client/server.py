"""A server as a client sees it: an address, a token, and requests with JSON in and out.

The rule: this module is the only one that knows the HTTP library. It sends each request once: what an answer that did
not come means, the caller must know.

`client/remote.py` and `client/remote_client.py` make the requests.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from ipaddress import ip_address
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from ..api.management.paths import path_piece
from ..runtime.errors import InvalidRequest
from .errors import ClientClosed, ServerAddressInvalid, ServerRefused, ServerUnreachable, error_of

T = TypeVar("T")

Query = Iterable[tuple[str, str]]

PREFIX = "/api/v1"
JSON = "application/json"

AsgiApp = Callable[..., Awaitable[None]]
IN_PROCESS = "http://localhost"  # the name by which an app in this process is asked

CONNECT_S = 5.0
CONNECTIONS_MAX = 500  # half of the files that a process may usually have open
# Between two pieces of an answer. Longer than any commit that a daemon still calls healthy, and than its own timeouts.
READ_S = 60.0
# A connection that a server has closed meanwhile is noticed when a request is written to it, and then it is too late to
# know whether it arrived. uvicorn closes idle ones after 5 s.
KEEP_ALIVE_S = 3.0


class Server:
    """The management API of a daemon.

    Args:
        where: `http://127.0.0.1:3500`; a path is where another app has mounted the API. Or an ASGI app in this process.
        token: None: it asks for none.

    Raises:
        ServerAddressInvalid: The address cannot be one.
    """

    def __init__(self, where: str | AsgiApp, token: str | None = None) -> None:
        self.app = None if isinstance(where, str) else where
        self.url = checked_url(where) if isinstance(where, str) else IN_PROCESS
        self._headers = {"dapr-api-token": checked_token(token)} if token else {}
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        encrypted = self.url.startswith("https:")
        self._http = httpx2.AsyncClient(
            base_url=self.url,
            headers=self._headers,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=100, keepalive_expiry=KEEP_ALIVE_S
            ),
            # Certificates take longer to load than a request takes, and a proxy is not the way to this machine.
            verify=encrypted,
            trust_env=not is_loopback(self.url),
            transport=httpx2.ASGITransport(self.app) if self.app is not None else None,
        )
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.__aexit__(exc_type, exc, traceback)

    async def ask(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        query: Query = (),
        body: object = None,
        headers: Mapping[str, str] | None = None,
        instance_id: str | None = None,
    ) -> T:
        """Make a request and read the JSON of its answer.

        Args:
            path: With its prefix; `path_of` makes one.
            answer: What the JSON is read as.
            body: Written as JSON; bytes as they are.
            instance_id: The instance that it is about, for errors.

        Raises:
            PerdureError: As of `client/errors.py`.
        """
        response = await self.send(method, path, query=query, body=body, headers=headers, instance_id=instance_id)
        return self.read(response, answer)

    def read(self, response: httpx2.Response, answer: type[T]) -> T:
        """Read the JSON of an answer."""
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.MsgspecError as error:
            what = f"{self.url} has answered with what is no {answer.__name__}: {error}. Is it this version of Perdure?"
            raise ServerRefused(response.status_code, "", what) from None

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: object = None,
        headers: Mapping[str, str] | None = None,
        instance_id: str | None = None,
        read_s: float | None = None,
    ) -> httpx2.Response:
        """Make a request, and return its answer if it is a good one.

        Args:
            read_s: How long the answer may take; READ_S by default.

        Raises:
            PerdureError: As of `client/errors.py`.
        """
        request = self._request(method, path, query, body, headers, read_s)
        try:
            response = await self._open.send(request)
        except httpx2.HTTPError as error:
            self._unreachable(error)
        if not response.is_success:
            raise refusal(self.url, response, instance_id)
        return response

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        instance_id: str | None = None,
        read_s: float | None = None,
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Make a request, and give the lines of its answer as they come.

        Raises:
            PerdureError: As of `client/errors.py`.
        """
        request = self._request(method, path, query, None, headers, read_s)
        try:
            response = await self._open.send(request, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    raise refusal(self.url, response, instance_id)
                async with aclosing(cast(AsyncGenerator[str, None], response.aiter_lines())) as lines:
                    yield lines
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            self._unreachable(error)

    @property
    def _open(self) -> httpx2.AsyncClient:
        if self._http is None:
            raise ClientClosed
        return self._http

    def _request(
        self,
        method: str,
        path: str,
        query: Query,
        body: object,
        headers: Mapping[str, str] | None,
        read_s: float | None,
    ) -> httpx2.Request:
        content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        # A request waits for a connection as long as it has to: each wait for an instance keeps one.
        timeout = httpx2.Timeout(read_s or READ_S, connect=CONNECT_S, pool=None)
        given = {"content-type": JSON, **(headers or {})} if content is not None else headers
        try:
            pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"{error.object!r} has a lone surrogate, which no URL can hold") from None
        url = f"{self.url}{path}{'?' if pairs else ''}{pairs}"
        return self._open.build_request(method, url, content=content, headers=given, timeout=timeout)

    def _unreachable(self, error: httpx2.HTTPError) -> NoReturn:
        sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        why = str(error) or type(error).__name__
        raise ServerUnreachable(self.url, why, sent=sent) from error


def path_of(*pieces: str) -> str:
    """Make a path below the API's prefix. A piece may be any text, and is one piece of the path."""
    return PREFIX + "".join(f"/{encoded(piece)}" for piece in pieces)


def encoded(piece: str) -> str:
    """Encode a piece of a path. Raises InvalidRequest."""
    try:
        return path_piece(piece)
    except UnicodeEncodeError:
        raise InvalidRequest(f"{piece!r} has a lone surrogate, which no URL can hold") from None


def refusal(server: str, response: httpx2.Response, instance_id: str | None) -> Exception:
    """Make the error of an answer that is none of the good ones."""
    code, message = "", f"{server} has answered {response.status_code} {response.reason_phrase}"
    try:
        said: Any = msgspec.json.decode(response.content)
    except msgspec.MsgspecError:
        said = None
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        code, message = str(said.get("errorCode", "")), said["message"]
    elif text := response.text.strip():
        message = f"{message}: {text[:200]}"
    return error_of(response.status_code, code, message, instance_id=instance_id)


def checked_url(url: str) -> str:
    """Check the address of a server, and take the slash from its end. Without a scheme it is http.

    Raises:
        ServerAddressInvalid: It cannot be one.
    """
    full = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(full)
        port = parts.port
    except ValueError as error:
        raise ServerAddressInvalid(url, str(error)) from None
    if parts.scheme not in ("http", "https"):
        raise ServerAddressInvalid(url, f"it begins with {parts.scheme}:// in place of http:// or https://")
    if not parts.hostname or port == 0:
        raise ServerAddressInvalid(url, "it names no host" if not parts.hostname else "port 0 is none")
    if parts.query or parts.fragment or parts.username is not None:
        raise ServerAddressInvalid(url, "it has more than a host, a port and a path")
    return full.rstrip("/")


def checked_token(token: str) -> str:
    """Check that a token can stand in a header.

    Raises:
        ServerAddressInvalid: It cannot.
    """
    if not token.isascii() or not token.isprintable():
        raise ServerAddressInvalid("(the token)", "a token has printable ASCII characters only")
    return token


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
