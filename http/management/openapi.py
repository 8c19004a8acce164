"""The description of the management API in OpenAPI 3.1, made from its endpoints and their structs.

The rule: facts that a struct or a table has are not written by hand. An internal error (ERR_INTERNAL) is not part of
the API and is left out, so that a test against this document finds it.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ...api.management.filters import FilterBody
from ...api.management.moments import LENGTH_PATTERN
from ...api.management.words import (
    BODY_INVALID,
    BODY_NOT_JSON,
    CURSOR_INVALID,
    FILTER_INVALID,
    HEADER_INVALID,
    LOST,
    NOT_RUNNING,
    QUERY_INVALID,
    UNCERTAIN,
)
from ...api.words import TRY_AGAIN, ErrorAnswer
from ...runtime.history.status import STATUS_WORDS
from ...runtime.operations.bulk.operation import BulkAction
from ..auth import TOKEN_MISSING, TOKEN_UNKNOWN, WRITE_BY_COOKIE
from ..dapr.openapi import error_responses, json_response, ref
from ..errors import BODY_MALFORMED, BODY_TOO_LARGE, NO_ROUTE, PATH_MALFORMED, QUERY_MALFORMED
from .endpoint import APP_ID, JSON, PREFIX, Endpoint, Payload, Success
from .routes.starting import START

Json = dict[str, Any]

GROUPS = {
    "instances": "Lists and descriptions of instances",
    "history": "The events of an instance",
    "actions": "Actions on an instance",
    "bulk": "Actions on all instances that a filter matches",
    "events": "Changes of instances, as a stream",
    "state": "The values of state stores, the same as in Dapr's state API",
    "daemon": "The daemon, its workflows, workers and store",
    "session": "The login of a browser",
}

HEADERS: dict[str, Json] = {
    "If-Match": {
        "description": "The ETag of a description, or several with commas: if the id has another run by now, "
        "the answer is 412. `*` means any run",
        "schema": {
            "type": "string",
            "pattern": r'^(\*|((W/)?"[!#-~]*"|[A-Za-z0-9-]+)(, ?((W/)?"[!#-~]*"|[A-Za-z0-9-]+))*)$',
        },
    },
    "Idempotency-Key": {
        "description": "Requests with the same key have their effect once",
        "schema": {"type": "string", "pattern": "^[!-~]{1,256}$"},
    },
    "Last-Event-ID": {
        "description": "The id of the last event that was read: the stream begins with the events after it",
        "schema": {"type": "string", "pattern": "^[!-~]+$"},
    },
}

PIECES = {
    "id": "The id. It may be any text; percent-encode it.",
    "name": "The name in its exact spelling; percent-encode it.",
    "store": "The name of a state store, such as `statestore`",
    "action": "suspend, resume, terminate, purge or rerun",
}

PIECE_SCHEMAS: dict[str, Json] = {"action": {"type": "string", "enum": [action.value for action in BulkAction]}}

FILTER_TEXTS = {
    "status": "Statuses in any case, with commas; a leading `!` negates the list",
    "name": "Names of workflows, with commas; a leading `!` negates the list",
}


def management_document(endpoints: Sequence[Endpoint], *, version: str, secured: bool) -> Json:
    """Build the document.

    Args:
        endpoints: The endpoints that are served.
        version: The version of Perdure.
        secured: Whether callers need a token.
    """
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        path = paths.setdefault(PREFIX + endpoint.path, {})
        described = path[endpoint.method.lower()] = operation(endpoint, secured=secured)
        if endpoint.operation == START.operation:
            described["responses"]["201"]["links"] = links(endpoints)
    schemes: Json = {
        "daprApiToken": {"type": "apiKey", "in": "header", "name": "dapr-api-token"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    groups = [group for group in GROUPS if any(endpoint.group == group for endpoint in endpoints)]
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Perdure management API",
            "version": version,
            "summary": "See and steer the instances of a daemon",
            "description": (
                "Times are RFC 3339 in UTC. Errors are `{errorCode, message}`, and the message says what to do. The "
                "Content-Type of a request is ignored. Dapr's routes are in `/openapi.json`."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": group, "description": GROUPS[group]} for group in groups],
        **({"security": [{"daprApiToken": []}, {"bearer": []}]} if secured else {}),
        "paths": paths,
        "components": {"securitySchemes": schemes, "schemas": schemas(endpoints)},
    }


def links(endpoints: Sequence[Endpoint]) -> Json:
    """Link an answer that has an id with the operations that can follow it: all operations on an instance."""
    return {
        endpoint.operation: {"operationId": endpoint.operation, "parameters": {"path.id": "$response.body#/id"}}
        for endpoint in endpoints
        if endpoint.path.startswith("/instances/{id}") and "{key}" not in endpoint.path
    }


def operation(endpoint: Endpoint, *, secured: bool) -> Json:
    """Describe one endpoint."""
    described: Json = {
        "tags": [endpoint.group],
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": [*path_parameters(endpoint.path), *query_parameters(endpoint), *header_parameters(endpoint)],
        "responses": {
            **{str(success.status): success_response(success) for success in endpoint.success},
            **error_responses(errors_of(endpoint, secured=secured)),
        },
    }
    if isinstance(endpoint.body, Payload):
        described["requestBody"] = {
            "description": endpoint.body.description,
            "required": False,
            "content": {"*/*": {"schema": {}}},
        }
    elif endpoint.body is not None:
        described["requestBody"] = {
            "required": False,
            "content": {JSON: {"schema": ref(endpoint.body.__name__)}},
        }
    if not endpoint.secured:
        described["security"] = []
    return {key: value for key, value in described.items() if value or key == "security"}


def errors_of(endpoint: Endpoint, *, secured: bool) -> Iterable[ErrorAnswer]:
    """Return the errors of an endpoint: its own, and the errors that all such endpoints may have."""
    yield FILTER_INVALID if endpoint.filters else QUERY_INVALID
    yield PATH_MALFORMED
    yield QUERY_MALFORMED
    yield NO_ROUTE
    yield from endpoint.errors
    if "cursor" in endpoint.names:
        yield CURSOR_INVALID
    yield from TRY_AGAIN.values()
    yield from (LOST, NOT_RUNNING, UNCERTAIN)
    if endpoint.headers:
        yield HEADER_INVALID
    if isinstance(endpoint.body, Payload):
        yield from (BODY_MALFORMED, BODY_TOO_LARGE)
    elif endpoint.body is not None:
        yield from (BODY_NOT_JSON, BODY_INVALID, BODY_TOO_LARGE)
    if secured and endpoint.secured:
        yield from (TOKEN_MISSING, TOKEN_UNKNOWN)
        if endpoint.method != "GET":
            yield WRITE_BY_COOKIE


def success_response(success: Success) -> Json:
    """Describe an answer of a request that succeeds."""
    if success.struct is None and not success.media:
        return {"description": success.description}
    response: Json = {"description": success.description, "content": {}}
    if success.struct is not None:
        response = json_response(success.description, ref(success.struct.__name__))
    for media in success.media:
        response["content"][media] = {"schema": {"type": "string"}}
    if success.etag:
        response["headers"] = {"ETag": {"required": True, "schema": {"type": "string"}}}
    return response


def path_parameters(path: str) -> list[Json]:
    """Describe the segments of a path that are in braces."""
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PIECES.get(name, ""),
            "schema": PIECE_SCHEMAS.get(name, {"type": "string", "minLength": 1}),
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def query_parameters(endpoint: Endpoint) -> list[Json]:
    """Describe the query of an endpoint: its own parameters, and the filters."""
    own = [
        {
            "name": field.name,
            "in": "query",
            "required": field.required,
            "description": field.description,
            "schema": field.schema,
        }
        for field in endpoint.query
    ]
    tag: Json = {
        "name": "tag.KEY",
        "in": "query",
        "description": "The value of the tag `KEY`. May be given once for each key.",
        "schema": {"type": "string"},
    }
    filters = filter_parameters() if endpoint.filters else []
    return [*filters, *([tag] if endpoint.filters or endpoint.tags else []), *own, APP_PARAMETER]


# The parameter of every endpoint.
APP_PARAMETER: Json = {
    "name": APP_ID,
    "in": "query",
    "description": "The app that the request is for; by default the first app of the daemon",
    "schema": {"type": "string", "minLength": 1},
}


def filter_parameters() -> list[Json]:
    """Describe the filters of a query, which are the same as in a body."""
    (_,), components = msgspec.json.schema_components([FilterBody])
    properties: Json = components[FilterBody.__name__]["properties"]
    status = "|".join(STATUS_WORDS)
    schemas: Json = {
        "status": {"type": "string", "pattern": f"^!?({status})(,({status}))*$"},
        "root": {"type": "boolean"},
        "stuck_for": {"type": "string", "pattern": f"^{LENGTH_PATTERN}$"},
        "parent": {"type": "string", "minLength": 1},
        "id_prefix": {"type": "string", "minLength": 1},
        "name": {"type": "string", "pattern": "^[^,!]+(,[^,]+)*$"},
    }
    return [
        {
            "name": name,
            "in": "query",
            "description": FILTER_TEXTS.get(name, properties[name].get("description", "")),
            "schema": schemas.get(name, moment_or_text(name)),
        }
        for name in properties
        if name not in ("tags", "app_id")
    ]


def moment_or_text(name: str) -> Json:
    """Return the schema of a filter's condition: a date if the name ends with `_after` or `_before`, else a text."""
    return {"type": "string", **({"format": "date-time"} if name.endswith(("_after", "_before")) else {})}


def header_parameters(endpoint: Endpoint) -> list[Json]:
    """Describe the headers that an endpoint reads."""
    return [{"name": name, "in": "header", **HEADERS[name]} for name in endpoint.headers]


def schemas(endpoints: Sequence[Endpoint]) -> Json:
    """Describe the structs of the endpoints, and the structs within these."""
    structs = {success.struct for endpoint in endpoints for success in endpoint.success if success.struct is not None}
    structs |= {endpoint.body for endpoint in endpoints if isinstance(endpoint.body, type)}
    ordered = sorted(structs, key=lambda struct: struct.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    text: Json = {"type": "string"}
    error: Json = {
        "type": "object",
        "properties": {"errorCode": text, "message": text, "problem": text, "advice": text},
        "required": ["errorCode", "message"],
        "additionalProperties": False,
    }
    return {name: components[name] for name in sorted(components)} | {"Error": error}
