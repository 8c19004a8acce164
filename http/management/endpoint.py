"""The description of an endpoint of the management API, from which its handler and the OpenAPI document are made.

The rule: an endpoint accepts no input and gives no answer that its description lacks.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...api.words import ErrorAnswer

PREFIX = "/api/v1"
JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
APP_ID = "app_id"  # in any query: the app whose instances the request is about


class QueryField(NamedTuple):
    """A parameter of a query."""

    name: str
    schema: Mapping[str, Any]  # JSON Schema of the parameter's text
    description: str
    required: bool = False


class Success(NamedTuple):
    """An answer of a request that succeeds."""

    status: int
    description: str
    struct: Any = None  # the type of its JSON; None: no body, unless `media` names content types
    media: tuple[str, ...] = ()  # further content types besides the JSON of the struct
    etag: bool = False


class Payload(NamedTuple):
    """A body that is a payload: any text, kept unchanged."""

    description: str


class Endpoint(NamedTuple):
    """One method of one path."""

    operation: str  # the name of its handler, and its id in the document
    method: str
    path: str  # after the prefix
    group: str
    summary: str
    success: tuple[Success, ...]
    errors: tuple[ErrorAnswer, ...] = ()  # besides the errors that all such endpoints may have
    query: tuple[QueryField, ...] = ()
    filters: bool = False  # its query may have filters
    tags: bool = False  # its query may have `tag.KEY`
    headers: tuple[str, ...] = ()  # the request headers that it reads
    body: Any = None  # a struct, a Payload, or None
    description: str = ""
    secured: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its query parameters besides filters."""
        return tuple(field.name for field in self.query)
