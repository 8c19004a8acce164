"""The description of an endpoint of the management API, from which its handler and the OpenAPI document are made.

The rule: an endpoint takes and answers nothing that its description does not have.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...api.words import ErrorAnswer

PREFIX = "/api/v1"
JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
APP_ID = "app_id"  # in any query: the app whose instances are meant


class QueryField(NamedTuple):
    """A name that the query of a request may have."""

    name: str
    schema: Mapping[str, Any]  # JSON Schema of its text
    description: str
    required: bool = False


class Success(NamedTuple):
    """A good answer."""

    status: int
    description: str
    struct: Any = None  # what its JSON decodes to; None: nothing, unless `media` says otherwise
    media: tuple[str, ...] = ()  # content types beside JSON, of which the struct says nothing
    etag: bool = False


class Payload(NamedTuple):
    """A body that is a payload: any text, kept as it is."""

    description: str


class Endpoint(NamedTuple):
    """One method of one path."""

    operation: str  # the name of its handler, and its id in the document
    method: str
    path: str  # behind the prefix
    group: str
    summary: str
    success: tuple[Success, ...]
    errors: tuple[ErrorAnswer, ...] = ()  # beside the errors that every endpoint of its kind may have
    query: tuple[QueryField, ...] = ()
    filters: bool = False  # takes the filters in its query
    tags: bool = False  # takes `tag.KEY` in its query
    headers: tuple[str, ...] = ()  # request headers that mean something
    body: Any = None  # a struct, a Payload, or None
    description: str = ""
    secured: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its query beside filters."""
        return tuple(field.name for field in self.query)
