"""A server of the management API over HTTP: an address and a token.

The rule: only this module uses the HTTP library.

`client/remote.py` and `client/remote_client.py` make the requests.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from ipaddress import ip_address
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import urlsplit

import httpx2

from .api_server import Answer, ApiRequest, ApiServer, lines_of
from .errors import ClientClosed, ServerAddressInvalid, ServerUnreachable

CONNECT_S = 5.0
CONNECTIONS_MAX = 500  # half of the usual limit of open files of a process
# Between two pieces of an answer. Longer than any commit of a healthy daemon, and than the daemon's timeouts.
READ_S = 60.0
# A connection that the server has closed is noticed only when a request is written, and then it is unknown whether the
# request arrived. uvicorn closes idle connections after 5 s.
KEEP_ALIVE_S = 3.0


class Server(ApiServer):
    """The management API of a daemon.

    Args:
        url: `http://127.0.0.1:3500`; a path is where another app has mounted the API.
        token: The API token; None: the daemon requires none.
        app_id: The app of the requests; None: the first app of the daemon.

    Raises:
        ServerAddressInvalid: The address is invalid.
    """

    def __init__(self, url: str, token: str | None = None, app_id: str | None = None) -> None:
        super().__init__(checked_url(url), token, app_id)
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        try:
            self._http = self._made_client()
        except (ValueError, ImportError, OSError) as error:
            # The environment names an invalid proxy, a proxy that needs a package, or missing certificates.
            why = f"the environment has settings that HTTP cannot use ({error})"
            raise ServerUnreachable(self.url, why, sent=False) from error
        await self._http.__aenter__()
        return self

    def _made_client(self) -> httpx2.AsyncClient:
        encrypted = self.url.startswith("https:")
        return httpx2.AsyncClient(
            base_url=self.url,
            headers=self.headers,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=100, keepalive_expiry=KEEP_ALIVE_S
            ),
            # For this machine certificates would take longer to load than a request, and a proxy is not needed.
            verify=encrypted,
            trust_env=not is_loopback(self.url),
        )

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.__aexit__(exc_type, exc, traceback)

    async def _send(self, request: ApiRequest) -> Answer:
        try:
            return answer_of(await self._open.send(self._made(request)))
        except httpx2.HTTPError as error:
            self._unreachable(error)

    @asynccontextmanager
    async def _stream(self, request: ApiRequest) -> AsyncIterator[AsyncIterator[str]]:
        try:
            response = await self._open.send(self._made(request), stream=True)
            if not response.is_success:
                await response.aread()
                self.checked(answer_of(response), request.instance_id)
            self.require_stream(response.headers.get("content-type", ""), request)
            pieces = response.aiter_bytes()
            try:
                async with aclosing(lines_of(pieces)) as lines:
                    yield lines
            finally:
                await response.aclose()
                # This raises an error that ends the nested generators of the library. Otherwise the garbage collector
                # would have to end them, which trio does not allow.
                with suppress(Exception):
                    await anext(pieces)
        except httpx2.HTTPError as error:
            self._unreachable(error)

    @property
    def _open(self) -> httpx2.AsyncClient:
        if self._http is None:
            raise ClientClosed
        return self._http

    def _made(self, request: ApiRequest) -> httpx2.Request:
        # A request waits for a connection without a limit, because each wait for an instance occupies one.
        timeout = httpx2.Timeout(request.read_s or READ_S, connect=CONNECT_S, pool=None)
        query = request.query_text
        url = f"{self.url}{request.path}{'?' if query else ''}{query}"
        return self._open.build_request(
            request.method, url, content=request.content, headers=request.all_headers, timeout=timeout
        )

    def _unreachable(self, error: httpx2.HTTPError) -> NoReturn:
        sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        why = str(error) or type(error).__name__
        raise ServerUnreachable(self.url, why, sent=sent) from error


def answer_of(response: httpx2.Response) -> Answer:
    """Return the answer of a response that was read."""
    etag, elsewhere = response.headers.get("etag", ""), response.headers.get("location")
    reason = response.reason_phrase
    if response.is_redirect and elsewhere:
        reason = f"{reason}, to {elsewhere}".lstrip(", ")
    return Answer(response.status_code, reason, response.content, etag)


def checked_url(url: str) -> str:
    """Check the address of a server, and remove its trailing slash. The default scheme is http.

    Raises:
        ServerAddressInvalid: The address is invalid.
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


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
