"""Every error of the management API is JSON with a fitting status; that of a wrong method names the right ones."""

from collections.abc import Callable

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from perdure.actors.address import Address
from perdure.actors.errors import ActorFailed, HostLost, HostStopping, MailboxFull
from perdure.actors.store.errors import StoreFailed
from perdure.api.management.actions import RepairRequest
from perdure.api.management.words import BODY_INVALID
from perdure.http.errors import ANSWERS
from perdure.http.management.call import ManagementCall, words_of
from perdure.http.management.endpoint import Endpoint, Payload, QueryField, Success
from perdure.http.management.resource import routes_of
from perdure.http.path import RawPath
from perdure.runtime.errors import (
    ChildUnfinished,
    EventRefused,
    IdTaken,
    InstanceExists,
    InstanceNotFound,
    InstanceNotSetAside,
    InstanceStalled,
    InstanceUnfinished,
    InvalidRequest,
    KeyReused,
    LimitExceeded,
    RunChanged,
    WorkflowUnknown,
)
from perdure.runtime.history.row import CorruptHistory

from ...support.doors.fake_facade import ask


class Order(msgspec.Struct, forbid_unknown_fields=True):
    item: str = "paper"
    count: int = 1


GOOD = (Success(200, "Good"),)
GET = Endpoint("get", "GET", "/orders/{id}", "orders", "Get", GOOD, query=(QueryField("deep", {}, ""),))
PUT = Endpoint("put", "PUT", "/orders/{id}", "orders", "Put", GOOD, body=Order, headers=("If-Match",))
POST = Endpoint("post", "POST", "/orders/{id}/notes", "orders", "Note", GOOD, body=Payload("a note"), tags=True)


async def get(call: ManagementCall) -> Response:
    return JSONResponse({"id": call.id, "deep": call.query.flag("deep", default=False), "actor": call.actor})


async def put(call: ManagementCall) -> Response:
    order, run = await call.body(Order), call.expected_runs()
    return JSONResponse(
        {
            "item": order.item,
            "count": order.count,
            "run": None if run is None else sorted(run),
            "key": call.idempotency_key(),
        }
    )


async def post(call: ManagementCall) -> Response:
    return JSONResponse({"note": await call.payload(), "tags": call.query.tags})


def app(get: Callable[..., object] = get) -> Starlette:
    routes = routes_of([(GET, get), (PUT, put), (POST, post)], body_bytes_max=100)  # type: ignore[list-item]
    made = Starlette(routes=routes, exception_handlers=ANSWERS)
    made.add_middleware(RawPath)
    return made


@pytest.mark.parametrize(
    ("raw", "instance_id"), [("a", "a"), ("a%2Fb%20c%3F", "a/b c?"), ("%25", "%"), ("notes", "notes")]
)
def test_an_id_may_be_any_text(raw: str, instance_id: str) -> None:
    response = ask(app(), "GET", f"/api/v1/orders/{raw}?deep=true")
    assert response.json() == {"id": instance_id, "deep": True, "actor": "anonymous"}


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"])
def test_a_method_that_a_path_does_not_have_is_told_which_it_has(method: str) -> None:
    response = ask(app(), method, "/api/v1/orders/a")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, PUT"
    if method != "HEAD":
        assert response.json()["errorCode"] == "ERR_METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["", "/", "/orders", "/orders/a/b/c", "//x", "/%2F"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_that_is_not_there_is_said_so_in_json(path: str, method: str) -> None:
    response = ask(app(), method, f"/api/v1{path}")
    assert response.status_code == 404
    assert response.json()["errorCode"] == "ERR_ROUTE_NOT_FOUND"


def test_a_request_for_another_app_is_daprs_to_answer() -> None:
    for path in ("/api/v1/orders/a", "/api/v1/nowhere"):
        response = ask(app(), "GET", path, headers={"dapr-app-id": "billing"})
        assert (response.status_code, response.json()["errorCode"]) == (404, "ERR_DIRECT_INVOKE")


ADDRESS = Address("workflow", "a")
ERRORS = [
    (InstanceNotFound("a"), 404, "ERR_INSTANCE_ID_NOT_FOUND"),
    (InstanceExists("a"), 409, "ERR_INSTANCE_EXISTS"),
    (ChildUnfinished("a", ("b",)), 409, "ERR_INSTANCE_EXISTS"),
    (InstanceUnfinished("a"), 409, "ERR_INSTANCE_UNFINISHED"),
    (InstanceStalled("a"), 409, "ERR_INSTANCE_STALLED"),
    (InstanceNotSetAside("a", "RUNNING"), 409, "ERR_INSTANCE_NOT_SET_ASIDE"),
    (RunChanged("a", expected=["1"], found="2"), 412, "ERR_RUN_CHANGED"),
    (IdTaken("a", name="W", status="RUNNING", restart=False), 409, "ERR_INSTANCE_EXISTS"),
    (KeyReused("a", "k"), 422, "ERR_IDEMPOTENCY_KEY_REUSED"),
    (WorkflowUnknown("X", app="shop", nearest=("Y",)), 422, "ERR_WORKFLOW_UNKNOWN"),
    (EventRefused("a", "approval", "COMPLETED"), 409, "ERR_EVENT_REFUSED"),
    (InvalidRequest("no"), 400, "ERR_REQUEST_INVALID"),
    (LimitExceeded("the input", limit="payload_bytes_max", found=2, maximum=1), 413, "ERR_LIMIT_EXCEEDED"),
    (CorruptHistory("no"), 409, "ERR_HISTORY_UNREADABLE"),
    (MailboxFull(ADDRESS, messages_max=1), 429, "ERR_MAILBOX_FULL"),
    (HostStopping(), 503, "ERR_HOST_STOPPING"),
    (HostLost("host-1"), 503, "ERR_HOST_LOST"),
    (StoreFailed("no"), 503, "ERR_STORE_FAILED"),
]


@pytest.mark.parametrize(("error", "status", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_of_the_engine_has_its_answer(error: Exception, status: int, code: str) -> None:
    async def fails(call: ManagementCall) -> Response:
        raise error

    response = ask(app(fails), "GET", "/api/v1/orders/a")
    assert (response.status_code, response.json()["errorCode"]) == (status, code)
    assert response.json()["message"]
    assert ("retry-after" in response.headers) is (status in (429, 503))


@pytest.mark.parametrize("error", [ActorFailed(ADDRESS, ValueError("secret")), ValueError("secret")])
def test_a_bug_keeps_its_text_for_the_log(error: Exception) -> None:
    async def fails(call: ManagementCall) -> Response:
        raise error

    response = ask(app(fails), "GET", "/api/v1/orders/a")
    assert response.status_code == 500
    assert "secret" not in response.text


def test_a_caller_that_has_hung_up_is_no_bug() -> None:
    async def fails(call: ManagementCall) -> Response:
        raise ClientDisconnect

    assert ask(app(fails), "GET", "/api/v1/orders/a").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "orders/%zz", b"", 400, "ERR_MALFORMED_REQUEST"),
        ("GET", "orders/%ff", b"", 400, "ERR_MALFORMED_REQUEST"),
        ("GET", "orders/a?depth=1", b"", 400, "ERR_QUERY_INVALID"),
        ("GET", "orders/a?deep=true&deep=true", b"", 400, "ERR_QUERY_INVALID"),
        ("GET", "orders/a?deep=maybe", b"", 400, "ERR_QUERY_INVALID"),
        ("PUT", "orders/a?tag.x=1", b"", 400, "ERR_QUERY_INVALID"),
        ("PUT", "orders/a", b"{", 400, "ERR_MALFORMED_REQUEST"),
        ("PUT", "orders/a", b"\xff", 400, "ERR_MALFORMED_REQUEST"),
        ("PUT", "orders/a", b"[]", 422, BODY_INVALID.code),
        ("PUT", "orders/a", b'{"items": "a"}', 422, BODY_INVALID.code),
        ("PUT", "orders/a", b'{"count": "1"}', 422, BODY_INVALID.code),
        ("PUT", "orders/a", b'{"item": "' + b"x" * 100 + b'"}', 413, "ERR_BODY_READ"),
        ("POST", "orders/a/notes", b"x" * 101, 413, "ERR_BODY_READ"),
        ("POST", "orders/a/notes", b"\xff", 400, "ERR_MALFORMED_REQUEST"),
        ("POST", "orders/a/notes?tag.team=%FF", b"", 400, "ERR_MALFORMED_REQUEST"),
        ("GET", "orders/a?%FF=1", b"", 400, "ERR_MALFORMED_REQUEST"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(method: str, path: str, content: bytes, status: int, code: str) -> None:
    response = ask(app(), method, f"/api/v1/{path}", content=content)
    assert (response.status_code, response.json()["errorCode"]) == (status, code)
    assert response.json().keys() == {"errorCode", "message"}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "odd", None])
def test_the_content_type_of_a_request_is_not_looked_at(kind: str | None) -> None:
    headers = {"content-type": kind} if kind is not None else {}
    response = ask(app(), "PUT", "/api/v1/orders/a", content=b'{"count": 2}', headers=headers)
    assert response.json()["count"] == 2
    response = ask(app(), "POST", "/api/v1/orders/a/notes?tag.team=x", content=b"a=b", headers=headers)
    assert response.json() == {"note": "a=b", "tags": {"team": "x"}}


def test_an_empty_body_is_an_empty_object_and_no_payload() -> None:
    assert ask(app(), "PUT", "/api/v1/orders/a").json()["item"] == "paper"
    assert ask(app(), "POST", "/api/v1/orders/a/notes").json()["note"] is None


@pytest.mark.parametrize(
    ("tag", "runs"),
    [
        ('"e1"', ["e1"]),
        (' "e1" ', ["e1"]),
        ("e1", ["e1"]),
        ('""', [""]),
        ('"a", "b"', ["a", "b"]),
        ('"b",,"a" , ', ["a", "b"]),
        ("a,b", ["a", "b"]),
        ('"a,b"', ["a,b"]),  # a comma may stand in a tag
        ('W/"a", "b"', ["b"]),
        ('W/"a"', []),  # the comparison is strong: no run matches
        ("*", None),
        (None, None),
    ],
)
def test_if_match_names_the_runs(tag: str | None, runs: list[str] | None) -> None:
    headers = {"if-match": tag} if tag is not None else {}
    assert ask(app(), "PUT", "/api/v1/orders/a", headers=headers).json()["run"] == runs


@pytest.mark.parametrize(
    "headers",
    [
        *({"if-match": tag} for tag in ('"e1', '"a" "b"', "w/'e1'", '*, "a"', ",", "")),
        *({"idempotency-key": key} for key in ("", "x" * 257, "a b")),
    ],
)
def test_a_header_that_cannot_be_is_named(headers: dict[str, str]) -> None:
    response = ask(app(), "PUT", "/api/v1/orders/a", headers=headers)
    assert (response.status_code, response.json()["errorCode"]) == (400, "ERR_HEADER_INVALID")
    assert next(iter(headers)) in response.json()["message"].lower()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"action": "fly"}', ". It takes retry, complete, fail, fire, release"),
        ('{"action": "a\\n`$.event_id`"}', ". It takes retry, complete, fail, fire, release"),
        ('{"action": 1}', ""),
        ('{"action": "fire", "event_id": "x"}', ""),
        ("{}", ""),
    ],
)
def test_a_word_that_a_body_cannot_have_is_told_with_those_that_it_can(body: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.json.decode(body, type=RepairRequest)
    assert words_of(RepairRequest, str(wrong.value)) == words
