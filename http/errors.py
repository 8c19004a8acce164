"""Maps every error to an HTTP response.

The rule: the body is `{"errorCode": …, "message": …}`, and on Dapr's routes it has no further members. Dapr's workflow
API kept this shape when its newer APIs got `details`, which some errors of the state API have. On the routes of the
management API an error with advice has `problem` and `advice` too.

The words that gRPC shares are in `api/words.py`, and the words that only HTTP uses in this file. The words are part of
the interface, and each is here once.
`http/app.py` installs the handlers.

Source: contract 1.1, 1.2, 1.4 and 1.7; dapr `pkg/messages/predefined.go`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..actors.errors import PerdureError
from ..api.state import DOMAIN, RESOURCE_TYPE, Detail, ErrorInfo, FieldViolation, ResourceInfo, StateProblem
from ..api.words import INTERNAL, ErrorAnswer, Refusal, refusal
from .path import PathMalformed, QueryMalformed, parameters

# Answers to a request that cannot be read or has no route.
BODY_MALFORMED = ErrorAnswer(400, "ERR_MALFORMED_REQUEST", "failed deserializing HTTP body: {detail}")
PATH_MALFORMED = ErrorAnswer(400, "ERR_MALFORMED_REQUEST", "failed decoding the URL path: {detail}")
QUERY_MALFORMED = ErrorAnswer(400, "ERR_MALFORMED_REQUEST", "failed decoding the URL query: {detail}")
BODY_TOO_LARGE = ErrorAnswer(
    413,
    "ERR_BODY_READ",
    "failed to read request body: it has more than {bytes_max} bytes, which is the limit. "
    "Pass large data by reference, or raise the limit with --max-body-size.",
)
NO_ROUTE = ErrorAnswer(
    404,
    "ERR_DIRECT_INVOKE",
    "failed getting app id either from the URL path or the header dapr-app-id",
)

# Answers of the health probes.
NOT_READY = ErrorAnswer(500, "ERR_HEALTH_NOT_READY", "dapr is not ready: [{detail}]")
OUTBOUND_NOT_READY = ErrorAnswer(500, "ERR_OUTBOUND_HEALTH_NOT_READY", "dapr outbound is not ready")
APP_ID_NOT_MATCHED = ErrorAnswer(500, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match")

# A full mailbox drains in well under a second, and a restart takes one or two. The header has whole seconds.
RETRY_AFTER_S = 1


def answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Encode an error."""
    return Response(error_json(code, message), status, headers, "application/json")


def error_json(code: str, message: str, **more: str) -> bytes:
    """Encode an error. A character that is not valid Unicode (in a file name, for example) becomes "?"."""
    texts = {"errorCode": code, "message": message, **more}
    return msgspec.json.encode({name: text.encode("utf-8", "replace").decode() for name, text in texts.items()})


def refusal_json(error: Refusal) -> bytes:
    """Encode a refusal, and its advice if it has any."""
    problem, advice = error.parts()
    more = {} if advice is None else {"problem": problem, "advice": advice.value}
    return error_json(error.answer.code, str(error), **more)


async def answer_refusal(request: Request, error: Exception) -> Response:
    """Answer a refusal. If a later try may succeed, the answer says when."""
    assert isinstance(error, Refusal)
    headers = None
    if error.answer.status in (429, 503):
        headers = {"retry-after": str(error.fields.get("seconds", RETRY_AFTER_S))}
    elif error.answer is BODY_TOO_LARGE:
        headers = {"connection": "close"}  # the rest of the body is not read
    return Response(refusal_json(error), error.answer.status, headers, "application/json")


async def answer_engine_error(request: Request, error: Exception) -> Response:
    """Answer an error of the engine in the words of the operation, whose name is that of its handler."""
    assert isinstance(error, PerdureError)
    return await answer_refusal(request, refusal(request.scope["endpoint"].__name__, error, **parameters(request)))


async def answer_state_problem(request: Request, error: Exception) -> Response:
    """Answer an error of the state API, with its details if it has any."""
    assert isinstance(error, StateProblem)
    if not error.details:
        return answer(error.status, error.code, error.http_text)
    body = {"errorCode": error.code, "message": error.http_text, "details": [*map(detail_json, error.details)]}
    return Response(msgspec.json.encode(body), error.status, media_type="application/json")


def detail_json(detail: Detail) -> dict[str, Any]:
    """Return a detail of an error as JSON, with its members in the order of their names, as in Dapr."""
    match detail:
        case ErrorInfo(reason, metadata):
            return {"@type": f"{TYPES}ErrorInfo", "domain": DOMAIN, "metadata": metadata, "reason": reason}
        case FieldViolation(field, description):
            violations = [{"field": field, "description": description}]
            return {"@type": f"{TYPES}BadRequest", "field_violations": violations}
        case ResourceInfo(name):
            return {
                "@type": f"{TYPES}ResourceInfo",
                "description": "",
                "owner": "",
                "resource_name": name,
                "resource_type": RESOURCE_TYPE,
            }


TYPES = "type.googleapis.com/google.rpc."


async def answer_path_malformed(request: Request, error: Exception) -> Response:
    """Answer a path or a query that cannot be decoded."""
    malformed = QUERY_MALFORMED if isinstance(error, QueryMalformed) else PATH_MALFORMED
    return answer(malformed.status, malformed.code, malformed.message.format(detail=error))


async def answer_no_route(request: Request, error: Exception) -> Response:
    """Answer an unknown path and a wrong method in the same way.

    Dapr passes both on to service invocation, where the app id is missing. Hence the answer is 404 with an odd text,
    and never 405.
    """
    return answer(*NO_ROUTE)


async def answer_disconnect(request: Request, error: Exception) -> Response:
    """Answer a caller that closed its connection before its body was complete; the answer is never read."""
    return Response(status_code=400)


async def answer_bug(request: Request, error: Exception) -> Response:
    """Answer an unexpected error without its text; Starlette raises it again, and the server logs its traceback."""
    return answer(*INTERNAL)


ErrorHandler = Callable[[Request, Exception], Awaitable[Response]]

ANSWERS: dict[Any, ErrorHandler] = {
    Refusal: answer_refusal,
    StateProblem: answer_state_problem,
    PathMalformed: answer_path_malformed,
    PerdureError: answer_engine_error,
    HTTPException: answer_no_route,
    ClientDisconnect: answer_disconnect,
    Exception: answer_bug,
}
