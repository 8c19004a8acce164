"""A server of the management API as a client sees it: requests with JSON in, answers and lines out.

The rule: each request is sent once. If no answer comes, the caller must know what that means.

`client/server.py` reaches one over HTTP, `client/app_server.py` one in this process. `client/remote.py` and
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
from .errors import ServerRefused, TokenInvalid, error_of
from .trace import trace_headers

T = TypeVar("T")

Query = Iterable[tuple[str, str]]

PREFIX = "/api/v1"
JSON = "application/json"
# Of an answer with a body that `ask` reads. Where there is none to read, the status alone tells a daemon from another
# program, or a proxy, that says yes to everything.
WITH_JSON = (200, 201, 202)
NO_ROUTE_OF_DAPR = "ERR_DIRECT_INVOKE"  # how a daemon answers for a path that is nobody's
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
    instance_id: str | None = None  # the instance that it is about, for errors
    read_s: float | None = None  # how long the answer may take over a network; seconds

    @property
    def query_text(self) -> str:
        """The query, encoded. Raises InvalidRequest."""
        return query_text(self.query)

    @property
    def all_headers(self) -> dict[str, str]:
        """Its headers, with the type of its content and the trace of the caller."""
        content = {"content-type": JSON} if self.content is not None else {}
        return {**trace_headers(), **content, **(self.headers or {})}


class Answer(NamedTuple):
    """An answer, whole."""

    status: int
    reason: str  # the phrase behind the status; may be empty
    content: bytes
    etag: str = ""  # with its quotes; empty: it has none

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
        url: Its address, for errors and for people.
        token: None: it asks for none.
        app_id: The app whose instances are meant; None: the first app of the server.

    Raises:
        TokenInvalid: The token cannot be one.
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
        """Make a request, and return its answer if it is a good one.

        Args:
            path: With its prefix; `path_of` makes one.
            good: The statuses with which a daemon says that it is done.
            body: Written as JSON; bytes as they are.
            rest: The optional parts; see `ApiRequest`.

        Raises:
            PerdureError: As of `client/errors.py`.
        """
        content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        self._name_app(rest)
        request = ApiRequest(method, path, content=content, **rest)
        answer = self.checked(await self._send(request), request.instance_id)
        if answer.status not in good:
            raise self._not_ours(answer.status, f"{answer.status} {answer.reason}".rstrip())
        return answer

    def stream(self, method: str, path: str, **rest: Unpack[Rest]) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Make a request, and give the lines of its answer as they come.

        Raises:
            PerdureError: As of `client/errors.py`.
        """
        self._name_app(rest)
        return self._stream(ApiRequest(method, path, **rest))

    def _name_app(self, rest: Rest) -> None:
        if self.app_id is not None:
            rest["query"] = [*rest.get("query", ()), ("app_id", self.app_id)]

    async def ask(self, method: str, path: str, answer: type[T], *, body: object = None, **rest: Unpack[Rest]) -> T:
        """Make a request and read the JSON of its answer.

        Args:
            answer: The type as which the JSON is read; the other arguments are those of `send`.

        Raises:
            PerdureError: As of `client/errors.py`.
        """
        return self.read(await self.send(method, path, good=WITH_JSON, body=body, **rest), answer)

    def read(self, given: Answer, answer: type[T]) -> T:
        """Read the JSON of an answer."""
        try:
            return msgspec.json.decode(given.content, type=answer)
        except (ValueError, RecursionError) as error:
            raise self._not_ours(given.status, f"no {answer.__name__}: {error}") from None

    def require_stream(self, content_type: str, request: ApiRequest) -> None:
        """Check that a good answer has the kind of lines that was asked for.

        Args:
            content_type: The header of the answer; empty: it has none.

        Raises:
            ServerRefused: They are not.
        """
        wanted = (request.headers or {}).get("accept", "")
        if content_type.partition(";")[0].strip().lower() != wanted:
            raise self._not_ours(200, f"{content_type or 'no type of content'}, and {wanted} was asked for")

    def _not_ours(self, status: int, what: str) -> ServerRefused:
        return ServerRefused(status, "", f"{self.url} has answered with {what}. Is it this version of Perdure?")

    def checked(self, given: Answer, instance_id: str | None) -> Answer:
        """Return an answer if it is a good one.

        Raises:
            PerdureError: As of `client/errors.py`.
        """
        if given.good:
            return given
        code, message = "", f"{self.url} has answered {given.status} {given.reason}".rstrip()
        try:
            said: Any = msgspec.json.decode(given.content)
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict) and isinstance(said.get("message"), str):
            code, message = str(said.get("errorCode", "")), said["message"]
        elif text := given.text.strip():
            message = f"{message}: {text[:200]}"
        if given.status == 404 and code in ("", NO_ROUTE_OF_DAPR):
            message = (
                f"{self.url} has no management API. Is it the address of `perdure run`, with the path before {PREFIX}?"
            )
        raise error_of(given.status, code, message, instance_id=instance_id)


def path_of(*pieces: str) -> str:
    """Make a path below the API's prefix. A piece may be any text, and is one piece of the path.

    Raises:
        InstanceNotFound: The id of an instance is empty, which none is.
        InvalidRequest: Another piece is empty, or no URL can hold it.
    """
    if "" in pieces:
        # Without it the server would take the next piece for it.
        if pieces[0] == "instances" and not pieces[1]:
            raise InstanceNotFound("")
        raise InvalidRequest(f"a name or an id of {'/'.join(pieces)!r} is empty")
    return PREFIX + "".join(f"/{encoded(piece)}" for piece in pieces)


def encoded(piece: str) -> str:
    """Encode a piece of a path. Raises InvalidRequest."""
    try:
        return path_piece(piece)
    except UnicodeEncodeError:
        raise InvalidRequest(f"{piece!r} has a lone surrogate, which no URL can hold") from None


def query_text(query: Query) -> str:
    """Write a query. Raises InvalidRequest."""
    try:
        return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{error.object!r} has a lone surrogate, which no URL can hold") from None


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """Cut an answer into its lines. Only a line feed ends one: in JSON the other line ends of Unicode may stand."""
    cutter = LineCutter()
    async for piece in pieces:
        for line in cutter.cut(piece):
            yield text_of(line)
    if rest := cutter.rest():
        yield text_of(rest)


def text_of(line: bytes) -> str:
    """A line of a stream as text, without its end; bytes that are not UTF-8 are replaced."""
    return line.removesuffix(b"\r").decode("utf-8", "replace")


def checked_token(token: str) -> str:
    """Check that a token can stand in a header.

    Raises:
        TokenInvalid: It cannot.
    """
    for position, character in enumerate(token, 1):
        if not character.isascii() or not character.isprintable():
            raise TokenInvalid(position)
    return token
