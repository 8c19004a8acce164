"""The state routes of Dapr.

The rule: an error is answered in Dapr's words for the called operation.

Every handler decodes, makes one call and encodes; `api/state.py` has the words of errors.

`http/app.py` adds the routes.

Source: dapr `pkg/api/http/http.go` (the state handlers).
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...api.state import StateCall, in_daprs_words, metadata_of, query_unsupported, unsupported_operation
from ...api.words import ErrorAnswer, Refusal
from ...runtime.state.errors import StateStoreNotFound
from ...runtime.state.state import StateChange, StateRead, States, is_first_write, ttl_s_in
from ..body import read
from ..errors import BODY_MALFORMED
from ..path import parameter, query, query_pairs, route

JSON = "application/json"
METADATA = "metadata."  # the prefix of names in the query, and in the headers of answers

# The message for a bad body of a save is Go's, without a prefix.
SAVE_MALFORMED = ErrorAnswer(400, "ERR_MALFORMED_REQUEST", "{detail}")

Fields = Mapping[str, msgspec.Raw]  # the members of an object by name in lower case: Go ignores the case

OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)
TEXT = msgspec.json.Decoder(str | None)
TEXTS = msgspec.json.Decoder(dict[str, str] | None)
NAMES = msgspec.json.Decoder(list[str] | None)
ANY = msgspec.json.Decoder()


class StateRoutes:
    """The handlers of the state routes."""

    def __init__(self, states: States | None, *, app_id: str, body_bytes_max: int) -> None:
        self.states = states
        self.app_id = app_id
        self.body_bytes_max = body_bytes_max

    def routes(self) -> list[Route]:
        """Make the routes."""
        both = ("POST", "PUT")
        return [
            route("/v1.0/state/{store}/{key}", "GET", self.get_state),
            *(route("/v1.0/state/{store}", method, self.save_state) for method in both),
            route("/v1.0/state/{store}/{key}", "DELETE", self.delete_state),
            *(route("/v1.0/state/{store}/bulk", method, self.get_bulk_state) for method in both),
            *(route("/v1.0/state/{store}/transaction", method, self.transact_state) for method in both),
            *(route("/v1.0-alpha1/state/{store}/query", method, self.query_state) for method in both),
        ]

    async def get_state(self, request: Request) -> Response:
        """Answer with the value of a key and its etag; 204 if there is no value."""
        store, key = parameter(request, "store"), parameter(request, "key")
        with self.told("get", store, key):
            value = await self.of(store).get(store, key)
        if value is None or not value.value:
            return nothing()
        headers = {"etag": value.etag}
        headers |= {METADATA + name: text for name, text in metadata_of(value).items()}
        return Response(value.value, 200, headers, JSON)

    async def save_state(self, request: Request) -> Response:
        """Save the values of the body, a list of keys and values.

        Raises:
            Refusal: The body has another form, or a key is empty.
        """
        store = parameter(request, "store")
        with self.told("save", store):
            self.of(store)
            body = await read(request, bytes_max=self.body_bytes_max)
            metadata = query_metadata(request)
            try:
                items = [folded(item) for item in OBJECTS.decode(body) or ()]
                changes = [upsert(item, metadata) for item in items]
            except MALFORMED as error:
                raise Refusal(SAVE_MALFORMED, detail=detail_of(error)) from None
            if not all(change.key for change in changes):
                raise Refusal(SAVE_MALFORMED, detail='"key" is a required field')
            await self.of(store).change(store, changes)
        return nothing()

    async def delete_state(self, request: Request) -> Response:
        """Delete a value; with `If-Match` only if the value has this etag."""
        store, key = parameter(request, "store"), parameter(request, "key")
        etag = request.headers.get("if-match", "")
        with self.told("delete", store, key):
            first = is_first_write(query(request, "concurrency") or "", query(request, "consistency") or "")
            await self.of(store).change(store, [StateChange(key, None, etag, first)])
        return nothing()

    async def get_bulk_state(self, request: Request) -> Response:
        """Answer with the values of many keys, each with its etag or its error.

        Raises:
            Refusal: The body has another form.
        """
        store = parameter(request, "store")
        with self.told("get_bulk", store):
            self.of(store)
            fields = folded(await self.object_of(request))
            try:
                keys = NAMES.decode(fields.get("keys", NULL)) or []
            except MALFORMED as error:
                raise Refusal(BODY_MALFORMED, detail=detail_of(error)) from None
            found = await self.of(store).get_many(store, keys)
        return Response(msgspec.json.encode([bulk_item(each) for each in found]), media_type=JSON)

    async def transact_state(self, request: Request) -> Response:
        """Make all changes of the body, or none.

        Raises:
            Refusal: The body has another form.
        """
        store = parameter(request, "store")
        with self.told("transact", store):
            self.of(store)
            fields = folded(await self.object_of(request))
            metadata = query_metadata(request)
            try:
                operations = OBJECTS.decode(fields.get("operations", NULL)) or []
                changes = [operation(folded(each), metadata) for each in operations]
            except MALFORMED as error:
                raise Refusal(BODY_MALFORMED, detail=detail_of(error)) from None
            await self.of(store).change(store, changes, whole=True)
        return nothing()

    async def query_state(self, request: Request) -> Response:
        """Refuse a query, like Dapr's state stores without queries."""
        store = parameter(request, "store")
        with self.told("get", store):
            self.of(store)
            await read(request, bytes_max=self.body_bytes_max)
        raise query_unsupported(store)

    def of(self, store: str) -> States:
        """Return the state stores, after a check that one of this name exists.

        Raises:
            StateStoreNotFound: It does not exist.
        """
        if self.states is None:
            raise StateStoreNotFound(store, ())
        self.states.stores.find(store)
        return self.states

    def told(self, operation: str, store: str, key: str = "") -> Any:
        """Return the context manager that raises errors in the words of a call."""
        return in_daprs_words(StateCall(operation, store, key, self.app_id))

    async def object_of(self, request: Request) -> Mapping[str, msgspec.Raw]:
        """Read a body that is an object.

        Raises:
            Refusal: The body is no object, or too large.
        """
        body = await read(request, bytes_max=self.body_bytes_max)
        try:
            return OBJECT.decode(body)
        except MALFORMED as error:
            raise Refusal(BODY_MALFORMED, detail=detail_of(error)) from None


NULL = msgspec.Raw(b"null")
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def nothing() -> Response:
    """Return the answer 204."""
    return Response(status_code=204)


def detail_of(error: Exception) -> str:
    """Return the text of an error for the answer; `EOF`, as in Go, for an error without text."""
    return str(error) or "EOF"


def folded(item: Mapping[str, msgspec.Raw]) -> Fields:
    """Return the members of an object by name in lower case. The last of names that differ only in case counts."""
    return {name.lower(): value for name, value in item.items()}


def operation(fields: Fields, metadata: Mapping[str, str]) -> StateChange:
    """Decode an operation of a transaction.

    Raises:
        StateProblem: The operation is neither upsert nor delete.
        msgspec.DecodeError: The fields are no operation.
    """
    kind = TEXT.decode(fields.get("operation", NULL)) or ""
    request = fields.get("request", NULL)
    own = {} if bytes(request) == b"null" else folded(OBJECT.decode(request))
    match kind:
        case "upsert":
            return upsert(own, metadata)
        case "delete":
            key, etag = key_and_etag(own)
            return StateChange(key, None, etag, first_write_in(own))
    raise unsupported_operation(kind)


def upsert(fields: Fields, metadata: Mapping[str, str]) -> StateChange:
    """Decode a value to save. It is kept exactly as it is in the body.

    Args:
        metadata: The metadata of the query, which overrides that of the item.
    """
    own = {**(TEXTS.decode(fields.get("metadata", NULL)) or {}), **metadata}
    key, etag = key_and_etag(fields)
    value = bytes(fields.get("value", NULL))
    return StateChange(key, value, etag, first_write_in(fields), ttl_s_in(own))


def key_and_etag(fields: Fields) -> tuple[str, str]:
    """Return the key and the etag of an item; an empty text for a missing one."""
    return TEXT.decode(fields.get("key", NULL)) or "", TEXT.decode(fields.get("etag", NULL)) or ""


def first_write_in(fields: Fields) -> bool:
    """Whether the options of an item request that the first write wins."""
    options = OBJECT.decode(given) if bytes(given := fields.get("options", NULL)) != b"null" else {}
    own = folded(options)
    texts = [TEXT.decode(own.get(name, NULL)) or "" for name in ("concurrency", "consistency")]
    return is_first_write(*texts)


def query_metadata(request: Request) -> dict[str, str]:
    """Return the metadata in the query; the first of several values of a name counts."""
    pairs = [(name.removeprefix(METADATA), value) for name, value in query_pairs(request) if name.startswith(METADATA)]
    return dict(reversed(pairs))


def bulk_item(found: StateRead) -> dict[str, Any]:
    """Return the item of a value in a bulk answer."""
    item: dict[str, Any] = {"key": found.key}
    value = found.value
    if found.error:
        item["error"] = found.error
    elif value is not None:
        if value.value:
            try:
                ANY.decode(value.value)
            except MALFORMED:
                return {"key": found.key, "error": "the value is not JSON: get it by itself, or over gRPC"}
            item["data"] = msgspec.Raw(value.value)
        item["etag"] = value.etag
        if metadata := metadata_of(value):
            item["metadata"] = metadata
    return item
