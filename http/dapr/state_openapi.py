"""The description of the state routes in OpenAPI, for the document of `openapi.py`.

The rule: each route of `state.py` is described here, with the answers that it can give.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...api.state import FAILURES
from ...api.words import TRY_AGAIN, ErrorAnswer
from ..errors import BODY_MALFORMED, BODY_TOO_LARGE, PATH_MALFORMED, QUERY_MALFORMED

Json = dict[str, Any]

STORE_ANSWERS = (
    ErrorAnswer(400, "ERR_STATE_STORE_NOT_FOUND", ""),
    ErrorAnswer(500, "ERR_STATE_STORE_NOT_CONFIGURED", ""),
)
KEY_ILLEGAL = ErrorAnswer(400, "ERR_MALFORMED_REQUEST", "")
UNSUPPORTED = ErrorAnswer(400, "ERR_NOT_SUPPORTED_STATE_OPERATION", "")
NO_QUERY = ErrorAnswer(500, "ERR_STATE_STORE_NOT_SUPPORTED", "")

TEXT: Json = {"type": "string"}
METADATA: Json = {"type": ["object", "null"], "additionalProperties": TEXT}
OPTIONS: Json = {
    "type": ["object", "null"],
    "properties": {
        "concurrency": {"enum": ["first-write", "last-write", "", None]},
        "consistency": {"enum": ["eventual", "strong", "", None]},
    },
}
KEY: Json = {
    "type": "string",
    "description": "Any text without `||`, at most 2 KiB with its prefix",
    "not": {"pattern": r"\|\|"},
}
NULLABLE: Json = {"type": ["string", "null"]}
ITEM: Json = {
    "type": "object",
    "properties": {
        "key": {**KEY, "minLength": 1},
        "value": {"description": "Any JSON, kept unchanged"},
        "etag": {"type": ["string", "null"]},
        "metadata": METADATA,
        "options": OPTIONS,
    },
    "required": ["key"],
}
# In a transaction Dapr treats an operation without a request, and a request without a key, as one on the empty key.
OPERATION: Json = {
    "type": "object",
    "properties": {
        "operation": {"enum": ["upsert", "delete"]},
        "request": {"type": ["object", "null"], "properties": {**ITEM["properties"], "key": NULLABLE}},
    },
    "required": ["operation"],
}
SAVE: Json = {"type": ["array", "null"], "items": ITEM}
BULK: Json = {"type": "object", "properties": {"keys": {"type": ["array", "null"], "items": KEY}}}
TRANSACTION: Json = {"type": "object", "properties": {"operations": {"type": ["array", "null"], "items": OPERATION}}}
VALUES: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "key": TEXT,
            "data": {},
            "etag": TEXT,
            "metadata": {"type": "object", "additionalProperties": TEXT},
            "error": TEXT,
        },
        "required": ["key"],
        "additionalProperties": False,
    },
}


def state_paths(error_responses: Callable[[Iterable[ErrorAnswer]], Json], stores: Sequence[str]) -> dict[str, Json]:
    """Describe the state routes of Dapr.

    Args:
        error_responses: Describes errors, grouped by status.
        stores: The names of the state stores.
    """
    done: Json = {"204": {"description": "Done, and stored"}}
    value: Json = {
        "200": {
            "description": "The value, as it was saved",
            "headers": {"ETag": {"schema": TEXT}, "metadata.ttlExpireTime": {"schema": TEXT}},
            "content": {"application/json": {"schema": {}}},
        },
        "204": {"description": "There is none"},
    }
    values: Json = {"200": {"description": "One for each key", "content": {"application/json": {"schema": VALUES}}}}

    def operation(name: str, summary: str, good: Json, *answers: ErrorAnswer, body: Json | None = None) -> Json:
        words = FAILURES[name]
        own = [ErrorAnswer(status, words.code, "") for status in (500, 503)]
        all_of = [PATH_MALFORMED, QUERY_MALFORMED, KEY_ILLEGAL, *STORE_ANSWERS, *own, *answers, *TRY_AGAIN.values()]
        if body is not None:
            all_of += [BODY_MALFORMED, BODY_TOO_LARGE]
        made: Json = {"tags": ["state"], "summary": summary, "responses": {**good, **error_responses(all_of)}}
        if body is not None:
            made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        return made

    mismatch = {name: ErrorAnswer(409, words.code, "") for name, words in FAILURES.items()}
    save = operation("save", "Save values, each for itself", done, mismatch["save"], body=SAVE)
    bulk = operation("get_bulk", "Get the values of several keys", values, body=BULK)
    transact = operation("transact", "Save and delete, all or nothing", done, UNSUPPORTED, body=TRANSACTION)
    query = operation("get", "Query values, which no store can", {}, NO_QUERY, body={})
    get = operation("get", "Get the value of a key", value)
    delete = operation("delete", "Delete the value of a key", done, mismatch["delete"])
    etag: Json = {"name": "If-Match", "in": "header", "description": "The etag that it must have", "schema": TEXT}
    options = [
        {"name": name, "in": "query", "schema": {"enum": [text for text in schema["enum"] if text is not None]}}
        for name, schema in OPTIONS["properties"].items()
    ]
    store = _parameter("store", "The name of the state store", {"enum": [*stores]} if stores else TEXT)
    key = _parameter("key", "The key", {**KEY, "minLength": 1})
    one = "/v1.0/state/{store}"
    return {
        f"{one}/{{key}}": {
            "get": {**get, "operationId": "getState", "parameters": [store, key]},
            "delete": {**delete, "operationId": "deleteState", "parameters": [store, key, etag, *options]},
        },
        one: _both(save, "saveState", store),
        f"{one}/bulk": _both(bulk, "getBulkState", store),
        f"{one}/transaction": _both(transact, "executeStateTransaction", store),
        "/v1.0-alpha1/state/{store}/query": _both(query, "queryStateAlpha1", store),
    }


def _parameter(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _both(operation: Json, operation_id: str, store: Json) -> Json:
    """Describe an operation that POST and PUT share."""
    made = {**operation, "parameters": [store]}
    return {"post": {**made, "operationId": operation_id}, "put": {**made, "operationId": f"{operation_id}Put"}}
