"""A request to the management API for its handlers: decoded and checked, with the name of its caller.

The rule: the Content-Type of a request is ignored.
"""

import re
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from starlette.requests import Request

from ...api.management.queries import RequestQuery
from ...api.management.words import BODY_INVALID, BODY_NOT_JSON, FILTER_INVALID, HEADER_INVALID
from ...api.words import Refusal
from ...runtime.history.event import Trace
from ..auth import actor_of, door_of
from ..body import read, read_text
from ..path import parameter, query_pairs
from ..trace import trace_of
from .endpoint import APP_ID, Endpoint

NO_SUCH_WORD = re.compile(r"Invalid enum value .* - at `\$\.(?P<field>\w+)`", re.DOTALL)  # msgspec's

Body = TypeVar("Body", bound=msgspec.Struct)

# An element of a list of entity tags, which may be empty (RFC 9110, 5.6.1 and 8.8.3), with its separator. A tag may
# lack its quotes, because people type tags.
ETAG = re.compile(r'[ \t]*(?:(?P<weak>W/)?"(?P<tag>[!#-~\x80-\xff]*)"|(?P<typed>[A-Za-z0-9-]+))?[ \t]*(?:,|$)')
KEY = re.compile("[!-~]{1,256}")  # an Idempotency-Key


class ManagementCall:
    """One request.

    Args:
        endpoint: The endpoint, which says which parameters the call may have.

    Raises:
        Refusal: The query has other parameters.
    """

    def __init__(self, request: Request, endpoint: Endpoint, *, body_bytes_max: int) -> None:
        self.request = request
        self.endpoint = endpoint
        self.body_bytes_max = body_bytes_max
        pairs = [(name, value) for name, value in query_pairs(request) if name != APP_ID]  # `Resource` has read it
        self.query = RequestQuery(pairs, endpoint.names, filters=endpoint.filters, tags=endpoint.tags)

    @property
    def actor(self) -> str:
        """The name of the caller's token, for the audit."""
        return actor_of(self.request.scope)

    @property
    def door(self) -> str:
        """The door by which the caller came, for the audit."""
        return door_of(self.request.scope)

    @property
    def trace(self) -> Trace | None:
        """The trace that the caller is part of."""
        return trace_of(self.request)

    def piece(self, name: str) -> str:
        """Decode a segment of the path. Raises PathMalformed."""
        return parameter(self.request, name)

    @property
    def id(self) -> str:
        """The id in the path. Raises PathMalformed."""
        return self.piece("id")

    def accepts(self, media: str) -> bool:
        """Return whether the Accept header names this content type first."""
        first = self.request.headers.get("accept", "").split(",")[0].split(";")[0].strip().lower()
        return first == media

    def idempotency_key(self) -> str | None:
        """Return the Idempotency-Key header; None if there is none. Raises Refusal."""
        key = self.request.headers.get("idempotency-key")
        if key is not None and KEY.fullmatch(key) is None:
            raise Refusal(HEADER_INVALID, detail="'Idempotency-Key' has 1 to 256 visible characters of ASCII")
        return key

    def expected_runs(self) -> frozenset[str] | None:
        """Return the runs that If-Match names; None if it is missing, or `*`, which means any run. Raises Refusal.

        A weak tag names no run, because If-Match uses the strong comparison (RFC 9110, 13.1.1).
        """
        lines = self.request.headers.getlist("if-match")
        if not lines or [line.strip() for line in lines] == ["*"]:
            return None
        tags = entity_tags(",".join(lines))
        if not tags:
            detail = (
                f"'If-Match' is {', '.join(lines)!r}, and it takes `*`, or ETags as descriptions have them with commas "
                'between, such as "EXECUTION_ID"'
            )
            raise Refusal(HEADER_INVALID, detail=detail)
        return frozenset(tag for tag, weak in tags if not weak)

    async def payload(self) -> str | None:
        """Read the body as a payload; None if it is empty. Raises Refusal."""
        return await read_text(self.request, bytes_max=self.body_bytes_max) or None

    async def body(self, kind: type[Body]) -> Body:
        """Decode the body; an empty body is decoded as an empty object.

        Raises:
            Refusal: The body is no JSON, or not of this type.
        """
        raw = await read(self.request, bytes_max=self.body_bytes_max)
        try:
            return msgspec.json.decode(raw or b"{}", type=kind)
        except msgspec.ValidationError as error:
            # An unknown filter must not be ignored, and has its own code.
            wrong = FILTER_INVALID if "`$.filter" in str(error) else BODY_INVALID
            raise Refusal(wrong, detail=f"the body: {error}{words_of(kind, str(error))}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(BODY_NOT_JSON, detail=error) from None


def words_of(kind: type[msgspec.Struct], error: str) -> str:
    """Return the words that a field takes, in words, if an error is that its value is none of them; else nothing."""
    if (match := NO_SUCH_WORD.fullmatch(error)) is None:
        return ""
    types = [field.type for field in msgspec.structs.fields(kind) if field.encode_name == match["field"]]
    words = [get_args(each) for of in types for each in (of, *get_args(of)) if get_origin(each) is Literal]
    return f". It takes {', '.join(words[0])}" if words else ""


def entity_tags(text: str) -> list[tuple[str, bool]]:
    """Return a list of entity tags, each with whether it is weak; an empty list if the text has another form."""
    found: list[tuple[str, bool]] = []
    position = 0
    while position < len(text):
        match = ETAG.match(text, position)
        if match is None:
            return []
        position = match.end()
        tag = match["tag"] if match["tag"] is not None else match["typed"]
        if tag is not None:
            found.append((tag, match["weak"] is not None))
    return found


def fields_given(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a body that are set."""
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}
