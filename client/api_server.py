"""The client's side of a server of the management API: sends requests with JSON, and returns answers and lines.

The rule: each request is sent once. If no answer comes, the caller must decide whether to repeat it.

`client/server.py` reaches a server over HTTP, and `client/app_server.py` an app in this process. `client/remote.py` and
`client/management_client.py` make the requests.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import msgspec

from ..api.management.lines import LineCutter
from ..api.management.paths import path_piece
from ..runtime.errors import InstanceNotFound, InvalidRequest
from .errors import ServerRefused, TokenInvalid, Told, error_of
from .trace import trace_headers

T = TypeVar("T")

Query = Iterable[tuple[str, str]]

PREFIX = "/api/v1"
JSON = "application/json"
# The statuses of answers with a body that `ask` reads. Without a body only the status tells a daemon from another
# program or a proxy that accepts every request.
WITH_JSON = (200, 201, 202)
NO_ROUTE_OF_DAPR = "ERR_DIRECT_INVOKE"  # the code of a daemon's answer for an unknown path
TOKEN_HEADER = "dapr-api-token"  # noqa: S105  the name of a header


class Rest(TypedDict, total=False):
    """The optional parts of a request; see `ApiRequest`."""

    query: Query
    headers: Mapping[str, str] | None
    instance_id: str | None
    read_s: float | None


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request."""

    method: str
    path: str  # encoded, with the prefix
    content: bytes | None = None
    query: Query = ()
    headers: Mapping[str, str] | None = None
    instance_id: str | None = None  # the instance in the path, for errors
    read_s: float | None = None  # the time limit for the answer over a network; seconds

    @property
    def query_text(self) -> str:
        """Return the encoded query. Raises InvalidRequest."""
        return query_text(self.query)

    @property
    def all_headers(self) -> dict[str, str]:
        """Return the headers, with the content type and the trace of the caller."""
        content = {"content-type": JSON} if self.content is not None else {}
        return {**trace_headers(), **content, **(self.headers or {})}


class Answer(NamedTuple):
    """A complete answer."""

    status: int
    reason: str  # the phrase after the status; may be empty
    content: bytes
    etag: str = ""  # with its quotes; empty: no ETag

    @property
    def good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.content.decode("utf-8", "replace")


class ApiServer(ABC):
    """A server of the management API.

    Args:
        url: The address of the server, for errors.
        token: The API token; None: the server requires none.
        app_id: The app of the requests; None: the first app of the server.

    Raises:
        TokenInvalid: The text cannot be a token.
    """

    def __init__(self, url: str, token: str | None = None, app_id: str | None = None) -> None:
        self.url = url
        self.app_id = app_id
        self.headers = {TOKEN_HEADER: checked_token(token)} if token else {}

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    @abstractmethod
    async def _send(self, request: ApiRequest) -> Answer: ...

    @abstractmethod
    def _stream(self, request: ApiRequest) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    async def send(
        self, method: str, path: str, *, good: Collection[int], body: object = None, **rest: Unpack[Rest]
    ) -> Answer:
        """Send a request, and return the answer if its status is good.

        Args:
            path: The path with its prefix, from `path_of`.
            good: The statuses of success for this request.
            body: A value, sent as JSON; bytes are sent unchanged.
            rest: The optional parts; see `ApiRequest`.

        Raises:
            PerdureError: See `client/errors.py`.
        """
        content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        self._name_app(rest)
        request = ApiRequest(method, path, content=content, **rest)
        answer = self.checked(await self._send(request), request.instance_id)
        if answer.status not in good:
            raise self._not_ours(answer.status, f"{answer.status} {answer.reason}".rstrip())
        return answer

    def stream(self, method: str, path: str, **rest: Unpack[Rest]) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Send a request, and yield the lines of its answer as they arrive.

        Raises:
            PerdureError: See `client/errors.py`.
        """
        self._name_app(rest)
        return self._stream(ApiRequest(method, path, **rest))

    def _name_app(self, rest: Rest) -> None:
        if self.app_id is not None:
            rest["query"] = [*rest.get("query", ()), ("app_id", self.app_id)]

    async def ask(self, method: str, path: str, answer: type[T], *, body: object = None, **rest: Unpack[Rest]) -> T:
        """Send a request, and decode the JSON of its answer.

        Args:
            answer: The type of the JSON; the other arguments are those of `send`.

        Raises:
            PerdureError: See `client/errors.py`.
        """
        return self.read(await self.send(method, path, good=WITH_JSON, body=body, **rest), answer)

    def read(self, given: Answer, answer: type[T]) -> T:
        """Decode the JSON of an answer."""
        try:
            return msgspec.json.decode(given.content, type=answer)
        except (ValueError, RecursionError) as error:
            raise self._not_ours(given.status, f"no {answer.__name__}: {error}") from None

    def require_stream(self, content_type: str, request: ApiRequest) -> None:
        """Check that an answer has the requested kind of lines.

        Args:
            content_type: The header of the answer; empty: the answer has none.

        Raises:
            ServerRefused: The answer has another kind.
        """
        wanted = (request.headers or {}).get("accept", "")
        if content_type.partition(";")[0].strip().lower() != wanted:
            raise self._not_ours(200, f"{content_type or 'no type of content'}, and {wanted} was asked for")

    def _not_ours(self, status: int, what: str) -> ServerRefused:
        return ServerRefused(status, "", f"{self.url} has answered with {what}. Is it this version of Perdure?")

    def checked(self, given: Answer, instance_id: str | None) -> Answer:
        """Return an answer if its status is good.

        Raises:
            PerdureError: See `client/errors.py`.
        """
        if given.good:
            return given
        message = f"{self.url} has answered {given.status} {given.reason}".rstrip()
        try:
            said: Any = msgspec.json.decode(given.content)
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict) and isinstance(said.get("message"), str):
            told = Told.of(said)
        else:
            text = given.text.strip()
            told = Told("", f"{message}: {text[:200]}" if text else message)
        if given.status == 404 and told.code in ("", NO_ROUTE_OF_DAPR):
            where = f"Is it the address of `perdure run`, with the path before {PREFIX}?"
            told = Told(told.code, f"{self.url} has no management API. {where}")
        raise error_of(given.status, told, instance_id=instance_id)


def path_of(*pieces: str) -> str:
    """Make a path below the API's prefix. Each piece may be any text, and becomes one segment.

    Raises:
        InstanceNotFound: The id of an instance is empty.
        InvalidRequest: Another piece is empty, or cannot be in a URL.
    """
    if "" in pieces:
        # With an empty id the server would take the next segment for the id.
        if pieces[0] == "instances" and not pieces[1]:
            raise InstanceNotFound("")
        raise InvalidRequest(f"a name or an id of {'/'.join(pieces)!r} is empty")
    return PREFIX + "".join(f"/{encoded(piece)}" for piece in pieces)


def encoded(piece: str) -> str:
    """Encode a segment of a path. Raises InvalidRequest."""
    try:
        return path_piece(piece)
    except UnicodeEncodeError:
        raise InvalidRequest(f"{piece!r} has a lone surrogate, which no URL can hold") from None


def query_text(query: Query) -> str:
    """Encode a query. Raises InvalidRequest."""
    try:
        return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{error.object!r} has a lone surrogate, which no URL can hold") from None


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """Yield the lines of an answer. Only a line feed ends a line: JSON may contain the other line ends of Unicode."""
    cutter = LineCutter()
    async for piece in pieces:
        for line in cutter.cut(piece):
            yield text_of(line)
    if rest := cutter.rest():
        yield text_of(rest)


def text_of(line: bytes) -> str:
    """Return a line of a stream as text, without its end; bytes that are not UTF-8 are replaced."""
    return line.removesuffix(b"\r").decode("utf-8", "replace")


def checked_token(token: str) -> str:
    """Check that a header can contain a token.

    Raises:
        TokenInvalid: A header cannot.
    """
    for position, character in enumerate(token, 1):
        if not character.isascii() or not character.isprintable():
            raise TokenInvalid(position)
    return token
