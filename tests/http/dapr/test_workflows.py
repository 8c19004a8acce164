"""The workflow routes do what contract 1.1, 1.2, 1.5 and 1.6 say, under each of the three prefixes."""

from uuid import UUID

import pytest

from perdure.actors.errors import RingUnknown
from perdure.api.words import is_plain
from perdure.http.dapr.workflows import OPERATIONS, VERSIONS, WorkflowRoutes
from perdure.runtime.history.attribution import By
from perdure.runtime.history.status import Status

from ...support.doors.fake_facade import FakeFacade, ask, make_app, state

ROUTES = [  # contract 1.1: method, path, status and body when all is well
    ("POST", "workflows/dapr/Order/start?instanceID=new-1", 202, {"instanceID": "new-1"}),
    ("POST", "workflows/dapr/order-1/raiseEvent/approval", 202, {}),
    ("POST", "workflows/dapr/order-1/pause", 202, {}),
    ("POST", "workflows/dapr/order-1/resume", 202, {}),
    ("POST", "workflows/dapr/order-1/terminate", 202, {}),
    ("POST", "workflows/dapr/done-1/purge", 202, {}),
]


@pytest.mark.parametrize("version", ["v1.0", "v1.0-alpha1", "v1.0-beta1"])
@pytest.mark.parametrize(("method", "path", "status", "body"), ROUTES)
def test_each_operation_is_served_under_each_prefix(
    version: str, method: str, path: str, status: int, body: object
) -> None:
    # Given a running and a finished instance,
    app = make_app(FakeFacade(state("order-1"), state("done-1", Status.COMPLETED)))
    # when the operation is asked for,
    response = ask(app, method, f"/{version}/{path}")
    # then it answers with Dapr's status and body.
    assert (response.status_code, response.json()) == (status, body)
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("version", ["v1.0", "v1.0-alpha1", "v1.0-beta1"])
def test_get_is_served_under_each_prefix(version: str) -> None:
    response = ask(make_app(FakeFacade(state())), "GET", f"/{version}/workflows/dapr/order-1")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["instanceID"] == "order-1"


@pytest.mark.parametrize("token", [None, "first", "second"])
@pytest.mark.parametrize("path", ["order-1/pause", "order-1/resume", "order-1/terminate", "done-1/purge"])
def test_a_change_says_for_the_audit_whose_token_came_through_this_door(path: str, token: str | None) -> None:
    facade = FakeFacade(state("order-1"), state("done-1", Status.COMPLETED))
    app = make_app(facade, api_tokens=("first", "second") if token else ())
    headers = {"dapr-api-token": token} if token else {}
    assert ask(app, "POST", f"/v1.0/workflows/dapr/{path}", headers=headers).status_code == 202
    expected = {None: "anonymous", "first": "token-1", "second": "token-2"}[token]
    assert facade.authors == [By(expected, "dapr-http")]


def test_an_empty_answer_is_two_bytes() -> None:
    response = ask(make_app(FakeFacade(state())), "POST", "/v1.0/workflows/dapr/order-1/pause")
    assert response.content == b"{}"


def test_the_component_in_the_path_means_nothing() -> None:
    app = make_app(FakeFacade(state()))
    assert ask(app, "GET", "/v1.0/workflows/temporal/order-1").status_code == 200


def test_each_operation_is_one_route_under_each_prefix() -> None:
    routes = WorkflowRoutes(FakeFacade(), app_id="orders", body_bytes_max=100).routes()
    assert {(route.name, route.path, *(route.methods or ())) for route in routes} == {
        (operation.name, f"/{version}/{operation.path}", operation.method)
        for operation in OPERATIONS
        for version in VERSIONS
    }
    assert len(routes) == 21


MATRIX = [  # contract 1.5: operation, then the answer for each status
    # operation, no instance, PENDING, RUNNING, SUSPENDED, finished, STALLED
    ("start", 202, 500, 500, 500, 202, 500),
    ("get", 404, 200, 200, 200, 200, 200),
    ("raiseEvent/approval", 500, 202, 202, 202, 202, 500),
    ("pause", 500, 202, 202, 202, 202, 500),
    ("resume", 500, 202, 202, 202, 202, 500),
    ("terminate", 404, 202, 202, 202, 202, 500),
    ("purge", 404, 500, 500, 500, 202, 500),
]
COLUMNS = [
    (None,),
    (Status.PENDING,),
    (Status.RUNNING,),
    (Status.SUSPENDED,),
    (Status.COMPLETED, Status.FAILED, Status.TERMINATED),
    (Status.STALLED,),
]
CELLS = [
    pytest.param(operation, status, answer, id=f"{operation}-{status.name if status is not None else 'none'}")
    for operation, *answers in MATRIX
    for statuses, answer in zip(COLUMNS, answers, strict=True)
    for status in statuses
]


@pytest.mark.parametrize(("operation", "status", "answer"), CELLS)
def test_each_operation_is_answered_as_in_dapr(operation: str, status: Status | None, answer: int) -> None:
    # Given an instance in some status, or none,
    app = make_app(FakeFacade(*([] if status is None else [state("order-1", status)])))
    # when an operation is asked for,
    if operation == "start":
        response = ask(app, "POST", "/v1.0/workflows/dapr/Order/start?instanceID=order-1")
    elif operation == "get":
        response = ask(app, "GET", "/v1.0/workflows/dapr/order-1")
    else:
        response = ask(app, "POST", f"/v1.0/workflows/dapr/order-1/{operation}")
    # then it is answered as Dapr answers it,
    assert response.status_code == answer, response.text
    # and the answer calls a stalled instance stalled.
    if status is Status.STALLED and operation not in ("start", "get"):
        assert response.json()["message"].endswith("workflow is stalled")


def test_a_finished_instance_whose_child_runs_is_not_replaced() -> None:
    # Given a finished parent with an unfinished child,
    facade = FakeFacade(state("P", Status.COMPLETED))
    facade.unfinished_children["P"] = ("C",)
    # when it is started again,
    response = ask(make_app(facade), "POST", "/v1.0/workflows/dapr/Order/start?instanceID=P")
    # then the child is named.
    assert response.status_code == 500
    assert response.json() == {
        "errorCode": "ERR_START_WORKFLOW",
        "message": (
            "error starting workflow 'Order': unable to start workflow: failed to start workflow: "
            "rpc error: code = AlreadyExists desc = "
            "cannot recreate workflow with ID 'P': child workflow 'C': orchestration has not yet completed"
        ),
    }


@pytest.mark.parametrize(("operation", "call"), [("terminate", (None, True)), ("purge", (True, False))])
def test_terminate_and_purge_take_the_children_along(operation: str, call: tuple[object, ...]) -> None:
    facade = FakeFacade(state("order-1", Status.COMPLETED))
    ask(make_app(facade), "POST", f"/v1.0/workflows/dapr/order-1/{operation}")
    assert facade.calls == [(operation, "order-1", *call)]


@pytest.mark.parametrize(
    "body", [b'{"item":"paperclips"}', b'"a string"', b"no JSON at all", b"", b"{", "größe 🙂".encode()]
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream", None])
def test_an_input_is_kept_as_it_came(body: bytes, content_type: str | None) -> None:
    facade = FakeFacade()
    headers = {"content-type": content_type} if content_type else {}
    ask(make_app(facade), "POST", "/v1.0/workflows/dapr/Order/start?instanceID=a", content=body, headers=headers)
    assert facade.calls == [("start", "Order", "a", body.decode())]


def test_a_start_without_a_body_has_an_empty_input_and_shows_it() -> None:
    # Given a start without a body,
    facade = FakeFacade()
    app = make_app(facade)
    ask(app, "POST", "/v1.0/workflows/dapr/Order/start?instanceID=a")
    # when the instance has started,
    facade.change("a", {Status.PENDING: Status.RUNNING})
    # then its input is there, and empty.
    response = ask(app, "GET", "/v1.0/workflows/dapr/a")
    assert response.json()["properties"] == {"dapr.workflow.input": ""}


@pytest.mark.parametrize(("body", "data"), [(b"", ""), (b'{"ok":true}', '{"ok":true}'), (b"plain", "plain")])
def test_event_data_is_kept_as_it_came(body: bytes, data: str) -> None:
    facade = FakeFacade(state())
    ask(make_app(facade), "POST", "/v1.0/workflows/dapr/order-1/raiseEvent/Approval", content=body)
    assert facade.calls == [("raise_event", "order-1", "Approval", data)]


@pytest.mark.parametrize("path", ["Order/start", "order-1/raiseEvent/approval"])
def test_a_payload_that_is_no_text_is_refused_and_not_delivered(path: str) -> None:
    facade = FakeFacade(state())
    response = ask(make_app(facade), "POST", f"/v1.0/workflows/dapr/{path}", content=b"ab\xff")
    assert response.status_code == 400
    assert response.json()["errorCode"] == "ERR_MALFORMED_REQUEST"
    assert facade.calls == []


@pytest.mark.parametrize("operation", ["pause", "resume", "terminate", "purge"])
@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"no", b" ", b'{"a":}', b"\xff", b"[" * 100_000])
def test_an_operation_that_needs_no_body_takes_an_object_or_none(operation: str, body: bytes) -> None:
    facade = FakeFacade(state("order-1", Status.COMPLETED))
    response = ask(make_app(facade), "POST", f"/v1.0/workflows/dapr/order-1/{operation}", content=body)
    assert response.status_code == 400
    assert response.json()["errorCode"] == "ERR_MALFORMED_REQUEST"
    assert response.json()["message"].startswith("failed deserializing HTTP body: ")
    assert facade.calls == []


@pytest.mark.parametrize("operation", ["pause", "resume", "terminate", "purge"])
def test_unknown_members_are_ignored(operation: str) -> None:
    app = make_app(FakeFacade(state("order-1", Status.COMPLETED)))
    response = ask(app, "POST", f"/v1.0/workflows/dapr/order-1/{operation}", content=b'{"reason": "lunch"}')
    assert response.status_code == 202


@pytest.mark.parametrize("query", ["", "?instanceID=", "?instanceId=mine", "?instanceid=mine"])
def test_without_an_id_a_random_one_is_made_up(query: str) -> None:
    response = ask(make_app(), "POST", f"/v1.0/workflows/dapr/Order/start{query}")
    assert response.status_code == 202
    assert UUID(response.json()["instanceID"]).version == 4


@pytest.mark.parametrize("instance_id", ["a", "a_b-C9", "x" * 64, "größe", "日本", "٣", "é" * 32])
def test_letters_and_digits_of_any_script_make_an_id(instance_id: str) -> None:
    response = ask(make_app(), "POST", "/v1.0/workflows/dapr/Order/start", params={"instanceID": instance_id})
    assert response.json() == {"instanceID": instance_id}


@pytest.mark.parametrize("instance_id", ["x" * 65, "é" * 33, "a b" * 30])
def test_an_id_of_more_than_64_bytes_is_refused(instance_id: str) -> None:
    response = ask(make_app(), "POST", "/v1.0/workflows/dapr/Order/start", params={"instanceID": instance_id})
    assert response.status_code == 400
    assert response.json()["errorCode"] == "ERR_INSTANCE_ID_TOO_LONG"


@pytest.mark.parametrize("instance_id", ["a b", "a:b", "a|b", "a/b", "a.b", "🙂", "²", "½", "a\n", " ", "\x00"])
def test_an_id_with_anything_else_is_refused(instance_id: str) -> None:
    response = ask(make_app(), "POST", "/v1.0/workflows/dapr/Order/start", params={"instanceID": instance_id})
    assert response.status_code == 400
    assert response.json()["errorCode"] == "ERR_INSTANCE_ID_INVALID"
    assert repr(instance_id)[1:-1] in repr(response.json()["message"])


@pytest.mark.parametrize(
    "instance_id", ["parent:0001", "a|b", "a@b", "a b", "x" * 200, "a/b", "🙂", "a+b", "%41", ".."]
)
def test_an_id_that_came_about_elsewhere_can_be_reached(instance_id: str) -> None:
    # Given an instance that this API could not have started,
    facade = FakeFacade(state(instance_id))
    app = make_app(facade)
    quoted = "".join(f"%{byte:02X}" for byte in instance_id.encode())
    # when it is asked for, then it is found.
    assert ask(app, "GET", f"/v1.0/workflows/dapr/{quoted}").json()["instanceID"] == instance_id
    assert ask(app, "POST", f"/v1.0/workflows/dapr/{quoted}/raiseEvent/{quoted}").status_code == 202
    assert facade.calls[-1] == ("raise_event", instance_id, instance_id, "")


def test_a_workflow_may_have_any_name() -> None:
    facade = FakeFacade()
    ask(make_app(facade), "POST", "/v1.0/workflows/dapr/My%20Workflow%2Fv2/start?instanceID=a")
    assert facade.calls == [("start", "My Workflow/v2", "a", "")]


FOREIGN = [
    ("POST", "Order/start"),
    ("GET", "order-1"),
    ("POST", "order-1/raiseEvent/approval"),
    ("POST", "order-1/pause"),
    ("POST", "order-1/resume"),
    ("POST", "order-1/terminate"),
    ("POST", "order-1/purge"),
]


@pytest.mark.parametrize(("method", "path"), FOREIGN)
def test_a_request_for_another_app_is_for_its_instances(method: str, path: str) -> None:
    facade = FakeFacade(state(status=Status.COMPLETED if path.endswith("purge") else Status.RUNNING))
    response = ask(make_app(facade), method, f"/v1.0/workflows/dapr/{path}?appID=billing")
    assert response.status_code in (200, 202), response.text
    assert facade.calls == []
    assert len(facade.others["billing"].calls) == 1


def test_an_app_that_no_host_has_is_a_503() -> None:
    facade = FakeFacade(state())
    facade.of_app("billing").failure = RingUnknown("billing")
    response = ask(make_app(facade), "GET", "/v1.0/workflows/dapr/order-1?appID=billing")
    assert response.status_code == 503
    assert response.json() == {"errorCode": "ERR_APP_UNKNOWN", "message": "no host has the app ID 'billing'"}


@pytest.mark.parametrize(("method", "path"), FOREIGN)
def test_an_app_id_that_cannot_be_is_refused(method: str, path: str) -> None:
    facade = FakeFacade(state())
    response = ask(make_app(facade), method, f"/v1.0/workflows/dapr/{path}?appID=a.b")
    assert response.status_code == 400
    assert response.json() == {
        "errorCode": "ERR_WORKFLOW_APP_ID_INVALID",
        "message": "workflow app ID 'a.b' is invalid: only alphanumeric, dash and underscore characters are allowed",
    }
    assert facade.calls == []


@pytest.mark.parametrize(("app_id", "query"), [("orders", "orders"), ("orders", ""), ("my.app", "my.app")])
def test_the_own_app_id_is_always_welcome(app_id: str, query: str) -> None:
    app = make_app(FakeFacade(state()), app_id=app_id)
    assert ask(app, "GET", f"/v1.0/workflows/dapr/order-1?appID={query}").status_code == 200


def test_letters_are_what_go_calls_letters() -> None:
    assert is_plain("aZ09_-éß日")
    assert not any(is_plain(text) for text in (".", "a b", "²", "½", "☃", "\N{COMBINING ACUTE ACCENT}"))
