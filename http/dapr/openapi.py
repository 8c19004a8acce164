"""The description of Dapr's API in OpenAPI 3.1, as a plain value.

The rule: the document has every answer that the API gives, and no other.
Codes and statuses come from the tables in `http/errors.py` and `api/words.py`, and routes from
`http/dapr/workflows.py`. An internal error (ERR_INTERNAL) is not part of the API and is left out, so that a test
against this document finds it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ...api.properties import RUNTIME_STATUS
from ...api.words import (
    APP_ID_INVALID,
    FAILURES,
    ID_BYTES_MAX,
    ID_INVALID,
    ID_TOO_LONG,
    METADATA_FULL,
    NOT_FOUND,
    NOT_FOUND_IS_404,
    TRY_AGAIN,
    ErrorAnswer,
)
from ..errors import APP_ID_NOT_MATCHED, BODY_MALFORMED, BODY_TOO_LARGE, NOT_READY, OUTBOUND_NOT_READY, PATH_MALFORMED
from ..health import UNREADY
from .state_openapi import state_paths
from .workflows import OPERATIONS, VERSIONS, Operation

Json = dict[str, Any]

SUMMARIES = {
    "start": "Start an instance of a workflow",
    "get": "Describe an instance",
    "raise_event": "Raise an event for an instance",
    "pause": "Suspend an instance",
    "resume": "Resume a suspended instance",
    "terminate": "Terminate an instance and its children",
    "purge": "Delete a finished instance and its children",
}

SUFFIXES = {"v1.0": "", "v1.0-beta1": "Beta1", "v1.0-alpha1": "Alpha1"}

PATH_PIECES = {
    "component": "The workflow component, `dapr` by convention. Its value is ignored.",
    "workflow_name": "The name of the workflow. The daemon does not check that a worker knows it.",
    "instance_id": "The id of the instance. It may be any text; percent-encode it.",
    "event_name": "The name of the event. Workflows compare it without regard to case.",
}

ANY_BODY: Json = {"*/*": {"schema": {}}}


def document(*, version: str, secured: bool, stores: Sequence[str] = ()) -> Json:
    """Build the document.

    Args:
        version: The version of Perdure.
        secured: Whether callers need a token.
        stores: The names of the state stores.
    """
    paths: dict[str, Json] = {}
    for name in VERSIONS:
        for operation in OPERATIONS:
            path = paths.setdefault(f"/{name}/{operation.path}", {})
            path[operation.method.lower()] = workflow_operation(operation, name)
    paths.update(state_paths(error_responses, stores))
    paths.update(sidecar_paths())
    if secured:
        for operation_object in (item for path in paths.values() for item in path.values()):
            if operation_object.get("security") != []:
                operation_object["responses"]["401"] = {"$ref": "#/components/responses/Unauthorized"}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Perdure",
            "version": version,
            "summary": "Durable workflows over Dapr's Workflow HTTP API",
            "description": (
                "The workflow API of Dapr, under its three prefixes, its state API, and the routes by which SDKs find "
                "the sidecar. "
                "Any other path, and any other method on these, is answered with 404 and ERR_DIRECT_INVOKE."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "workflows"}, {"name": "state"}, {"name": "sidecar"}],
        **({"security": [{"daprApiToken": []}]} if secured else {}),
        "paths": paths,
        "components": components(),
    }


def workflow_operation(operation: Operation, version: str) -> Json:
    """Describe one of the seven operations under one of the three prefixes."""
    name = operation.name
    described: Json = {
        "tags": ["workflows"],
        "operationId": operation_id(name, version),
        "summary": SUMMARIES[name],
        "parameters": [*path_parameters(operation.path), *query_parameters(name)],
        "responses": workflow_responses(operation),
    }
    if name in ("start", "raise_event"):
        what = "The workflow's input" if name == "start" else "The event's data"
        described["requestBody"] = {
            "description": f"{what}: any UTF-8 text, kept unchanged. SDKs expect JSON.",
            "required": False,
            "content": ANY_BODY,
        }
    elif operation.method == "POST":
        described["requestBody"] = {
            "description": "No body is needed. A JSON object is accepted and ignored.",
            "required": False,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    if name == "start":
        described["responses"]["202"]["links"] = links(version)
    return described


def operation_id(name: str, version: str = VERSIONS[0]) -> str:
    """Return the id of an operation. Ids must be unique; under the newest prefix they are Dapr's names."""
    return name.replace("_event", "Event") + SUFFIXES[version]


def path_parameters(path: str) -> list[Json]:
    """Describe the segments of a path that are in braces."""
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": text,
            "schema": {"type": "string", "minLength": 1},
        }
        for name, text in PATH_PIECES.items()
        if f"{{{name}}}" in path
    ]


def query_parameters(operation: str) -> list[Json]:
    """Describe the query parameters of an operation."""
    app_id: Json = {
        "name": "appID",
        "in": "query",
        "description": "The app that the request is for; by default the first app of the daemon.",
        "schema": {"type": "string", "pattern": r"^[\p{L}\p{Nd}_-]*$"},
    }
    if operation != "start":
        return [app_id]
    instance_id: Json = {
        "name": "instanceID",
        "in": "query",
        "description": (
            f"The id of the new instance, at most {ID_BYTES_MAX} bytes of UTF-8. Without one, or with an empty one, "
            "a random UUID is chosen. The name is case-sensitive."
        ),
        "schema": {"type": "string", "pattern": r"^[\p{L}\p{Nd}_-]*$", "maxLength": ID_BYTES_MAX},
    }
    return [instance_id, app_id]


def workflow_responses(operation: Operation) -> Json:
    """Describe the answers of an operation: success and errors."""
    name = operation.name
    answers = [PATH_MALFORMED, APP_ID_INVALID, FAILURES[name], *TRY_AGAIN.values()]
    if name == "start":
        answers += [ID_TOO_LONG, ID_INVALID]
    if operation.method == "POST":
        answers += [BODY_MALFORMED, BODY_TOO_LARGE]
    if name in NOT_FOUND_IS_404:
        answers.append(NOT_FOUND)
    return {**success(name), **error_responses(answers)}


def success(operation: str) -> Json:
    """Describe the answer of an operation that succeeds."""
    if operation == "get":
        return {"200": json_response("The instance, as last committed", ref("WorkflowState"))}
    if operation == "start":
        return {"202": json_response("The instance is stored and will run", ref("Started"))}
    return {"202": json_response("The request is stored", ref("Empty"))}


def error_responses(answers: Iterable[ErrorAnswer]) -> Json:
    """Describe errors, grouped by status."""
    by_status: dict[int, dict[str, None]] = {}
    for answer in answers:
        by_status.setdefault(answer.status, {})[answer.code] = None
    return {str(status): error_response(status, list(codes)) for status, codes in sorted(by_status.items())}


def error_response(status: int, codes: list[str]) -> Json:
    """Describe the errors of one status."""
    schema = {"allOf": [ref("Error"), {"properties": {"errorCode": {"enum": codes}}}]}
    response = json_response(", ".join(codes), schema)
    if status in (429, 503):
        response["headers"] = {
            "Retry-After": {"description": "Seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}
        }
    return response


def links(version: str) -> Json:
    """Link a start with the operations that can follow it: all operations on an instance."""
    return {
        operation_id(operation.name): {
            "operationId": operation_id(operation.name, version),
            "parameters": {"path.component": "dapr", "path.instance_id": "$response.body#/instanceID"},
        }
        for operation in OPERATIONS
        if "{instance_id}" in operation.path
    }


def sidecar_paths() -> dict[str, Json]:
    """Describe the routes of the sidecar besides workflows and state."""
    nothing: Json = {"description": "Yes"}
    app_id: Json = {
        "name": "appid",
        "in": "query",
        "description": "Ask in addition whether the daemon hosts this app.",
        "schema": {"type": "string"},
    }
    key: Json = {"name": "key", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    force: Json = {
        "name": "dapr-force-shutdown",
        "in": "header",
        "description": "With `true`, running activities are not waited for.",
        "schema": {"type": "string"},
    }
    status: Json = closed({"status": {"type": "string"}})
    return {
        "/healthz/ready": {
            "get": {
                **sidecar_operation("ready", "Ask whether a balancer may send requests here"),
                "security": [],
                "responses": {"200": json_response("Yes", status), **error_responses([UNREADY])},
            }
        },
        "/healthz/live": {
            "get": {
                **sidecar_operation("live", "Ask whether the process answers"),
                "security": [],
                "responses": {"200": json_response("Yes", status)},
            }
        },
        "/v1.0/healthz": {
            "get": {
                **sidecar_operation("healthz", "Ask whether the daemon is ready"),
                "security": [],
                "parameters": [app_id],
                "responses": {"204": nothing, **error_responses([NOT_READY, APP_ID_NOT_MATCHED])},
            }
        },
        "/v1.0/healthz/outbound": {
            "get": {
                **sidecar_operation("healthzOutbound", "Ask whether the daemon takes requests"),
                "security": [],
                "responses": {"204": nothing, **error_responses([OUTBOUND_NOT_READY])},
            }
        },
        "/v1.0/metadata": {
            "get": {
                **sidecar_operation("getMetadata", "Describe the daemon"),
                "responses": {"200": json_response("The daemon", ref("Metadata"))},
            }
        },
        "/v1.0/metadata/{key}": {
            "put": {
                **sidecar_operation("putMetadata", "Add to the description of the daemon, until the daemon ends"),
                "parameters": [key],
                "requestBody": {"required": False, "content": ANY_BODY},
                "responses": {
                    "204": {"description": "Noted"},
                    **error_responses([PATH_MALFORMED, BODY_MALFORMED, BODY_TOO_LARGE, METADATA_FULL]),
                },
            }
        },
        "/v1.0/shutdown": {
            "post": {
                **sidecar_operation("shutdown", "Stop the daemon"),
                "parameters": [force],
                "responses": {"204": {"description": "The daemon stops"}},
            }
        },
        "/openapi.json": {
            "get": {
                **sidecar_operation("openapi", "This document"),
                "responses": {"200": json_response("The document", {"type": "object"})},
            }
        },
    }


def sidecar_operation(operation_id: str, summary: str) -> Json:
    """Describe an operation under the tag `sidecar`."""
    return {"tags": ["sidecar"], "operationId": operation_id, "summary": summary}


def components() -> Json:
    """Describe the schemas and responses that the operations share."""
    text: Json = {"type": "string"}
    actors: Json = {"type": "array", "items": ref("ActorCount")}
    return {
        "securitySchemes": {"daprApiToken": {"type": "apiKey", "in": "header", "name": "dapr-api-token"}},
        "responses": {
            "Unauthorized": {
                "description": "The token is missing or wrong",
                "content": {"text/plain": {"schema": {"const": "invalid api token"}}},
            }
        },
        "schemas": {
            "Started": closed({"instanceID": {"type": "string", "minLength": 1}}),
            "Empty": closed({}),
            "Error": closed(
                {"errorCode": text, "message": text, "details": {"type": "array", "items": {"type": "object"}}},
                optional=("details",),
            ),
            "WorkflowState": closed(
                {
                    "instanceID": text,
                    "workflowName": text,
                    "createdAt": {"type": "string", "format": "date-time"},
                    "lastUpdatedAt": {"type": "string", "format": "date-time"},
                    "runtimeStatus": {"enum": list(RUNTIME_STATUS.values())},
                    "properties": workflow_properties(),
                },
                optional=("workflowName", "properties"),
            ),
            "ActorCount": closed({"type": text, "count": {"type": "integer", "minimum": 0}}),
            "Component": closed(
                {"name": text, "type": text, "version": text, "capabilities": {"type": "array", "items": text}}
            ),
            "Metadata": closed(
                {
                    "id": text,
                    "runtimeVersion": text,
                    "actors": actors,
                    "components": {"type": "array", "items": ref("Component")},
                    "extended": {"type": "object", "additionalProperties": text},
                    "actorRuntime": closed(
                        {
                            "runtimeStatus": {"const": "RUNNING"},
                            "activeActors": actors,
                            "hostReady": {"type": "boolean"},
                            "placement": text,
                        },
                        optional=("activeActors",),
                    ),
                    "workflows": closed({"connectedWorkers": {"type": "integer", "minimum": 1}}),
                },
                optional=("actors", "components", "workflows"),
            ),
        },
    }


def workflow_properties() -> Json:
    """Describe the properties of an instance. Payloads are text as stored, usually JSON."""
    names = {
        "dapr.workflow.input": "The input of the instance",
        "dapr.workflow.custom_status": "The custom status that its code set last",
        "dapr.workflow.output": "Its result, unless it failed",
        "dapr.workflow.failure.error_type": "FAILED: the type of the error",
        "dapr.workflow.failure.error_message": "FAILED: its message",
        "dapr.workflow.failure.stack_trace": "FAILED: its stack trace, if there is one",
        "perdure.workflow.stall": "UNKNOWN: the reason why the instance is stalled",
    }
    described = {name: {"type": "string", "description": text} for name, text in names.items()}
    return closed(described, optional=tuple(described))


def closed(properties: Json, *, optional: tuple[str, ...] = ()) -> Json:
    """Describe an object that has these members and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def json_response(description: str, schema: Json) -> Json:
    """Describe an answer whose body is JSON of this schema."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def ref(schema: str) -> Json:
    """Refer to a schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{schema}"}
