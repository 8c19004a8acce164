"""Errors have Dapr's codes, statuses and words: every row of contract 1.4, and our own for requests to try again."""

import json

import pytest

from perdure.actors.address import Address
from perdure.actors.errors import (
    ActorFailed,
    HostSilent,
    HostStopping,
    HostUnreachable,
    MailboxFull,
    NotOwner,
    PerdureError,
)
from perdure.actors.store.errors import StoreError, StoreFailed, StoreHangs
from perdure.api.management.words import RERUN_REFUSED, management_refusal
from perdure.api.words import FAILURES, TRY_AGAIN, Refusal
from perdure.http.dapr.workflows import OPERATIONS
from perdure.http.errors import refusal_json
from perdure.runtime.errors import Advice, EventRefused, InvalidRequest
from perdure.runtime.history.row import CorruptHistory
from perdure.runtime.history.status import Status

from ..support.doors.fake_facade import FakeFacade, ask, make_app, state

AT = "/v1.0-beta1/workflows/dapr"

WORDS = [  # contract 1.4, with the inner texts given below the table
    pytest.param(
        "POST",
        f"/v1.0/workflows/dapr/W/start?instanceID={'x' * 65}",
        400,
        "ERR_INSTANCE_ID_TOO_LONG",
        "workflow instance ID exceeds the max length of 64 characters",
        id="too-long",
    ),
    pytest.param(
        "POST",
        f"{AT}/W/start?instanceID=a.b",
        400,
        "ERR_INSTANCE_ID_INVALID",
        "workflow instance ID 'a.b' is invalid: only alphanumeric and underscore characters are allowed",
        id="invalid",
    ),
    pytest.param(
        "GET",
        f"{AT}/none",
        404,
        "ERR_INSTANCE_ID_NOT_FOUND",
        "unable to find workflow with the provided instance ID: none",
        id="get-missing",
    ),
    pytest.param(
        "POST",
        f"{AT}/none/terminate",
        404,
        "ERR_INSTANCE_ID_NOT_FOUND",
        "unable to find workflow with the provided instance ID: none",
        id="terminate-missing",
    ),
    pytest.param(
        "POST",
        f"{AT}/none/purge",
        404,
        "ERR_INSTANCE_ID_NOT_FOUND",
        "unable to find workflow with the provided instance ID: none",
        id="purge-missing",
    ),
    pytest.param(
        "POST",
        f"{AT}/W/start?appID=a.b",
        400,
        "ERR_WORKFLOW_APP_ID_INVALID",
        "workflow app ID 'a.b' is invalid: only alphanumeric, dash and underscore characters are allowed",
        id="app-id",
    ),
    pytest.param(
        "POST",
        f"{AT}/W/start?instanceID=running",
        500,
        "ERR_START_WORKFLOW",
        "error starting workflow 'W': unable to start workflow: failed to start workflow: "
        "rpc error: code = AlreadyExists desc = an active workflow with ID 'running' already exists",
        id="duplicate",
    ),
    pytest.param(
        "POST",
        f"{AT}/none/raiseEvent/E",
        500,
        "ERR_RAISE_EVENT_WORKFLOW",
        "error raising event on workflow 'none': failed to raise event E on workflow none: "
        "failed to raise event: no such instance exists",
        id="raise-missing",
    ),
    pytest.param(
        "POST",
        f"{AT}/stalled/raiseEvent/E",
        500,
        "ERR_RAISE_EVENT_WORKFLOW",
        "error raising event on workflow 'stalled': failed to raise event E on workflow stalled: "
        "failed to raise event: workflow is stalled",
        id="raise-stalled",
    ),
    pytest.param(
        "POST",
        f"{AT}/none/pause",
        500,
        "ERR_PAUSE_WORKFLOW",
        "error pausing workflow none: failed to pause workflow none: "
        "failed to suspend workflow: no such instance exists",
        id="pause-missing",
    ),
    pytest.param(
        "POST",
        f"{AT}/none/resume",
        500,
        "ERR_RESUME_WORKFLOW",
        "error resuming workflow none: failed to resume workflow none: "
        "failed to resume workflow: no such instance exists",
        id="resume-missing",
    ),
    pytest.param(
        "POST",
        f"{AT}/stalled/terminate",
        500,
        "ERR_TERMINATE_WORKFLOW",
        "error terminating workflow 'stalled': failed to terminate workflow stalled: "
        "failed to submit termination request: workflow is stalled",
        id="terminate-stalled",
    ),
    pytest.param(
        "POST",
        f"{AT}/running/purge",
        500,
        "ERR_PURGE_WORKFLOW",
        "error purging workflow running: failed to Purge workflow running: "
        "failed to purge workflow state: orchestration has not yet completed",
        id="purge-running",
    ),
    pytest.param(
        "POST",
        f"{AT}/stalled/purge",
        500,
        "ERR_PURGE_WORKFLOW",
        "error purging workflow stalled: failed to Purge workflow stalled: "
        "failed to purge workflow state: workflow is stalled",
        id="purge-stalled",
    ),
]


@pytest.mark.parametrize(("method", "target", "status", "code", "message"), WORDS)
def test_an_error_has_dapr_s_words(method: str, target: str, status: int, code: str, message: str) -> None:
    app = make_app(FakeFacade(state("running"), state("stalled", Status.STALLED)))
    response = ask(app, method, target)
    assert response.status_code == status
    assert response.json() == {"errorCode": code, "message": message}
    assert response.headers["content-type"] == "application/json"


def test_a_failing_get_has_dapr_s_words() -> None:
    facade = FakeFacade()
    facade.failure = CorruptHistory("row 7 of x cannot be read")
    response = ask(make_app(facade), "GET", f"{AT}/x")
    assert response.status_code == 500
    assert response.json() == {
        "errorCode": "ERR_GET_WORKFLOW",
        "message": (
            "error while getting workflow info on instance 'x': failed to get workflow metadata for 'x': "
            "failed to fetch workflow metadata: row 7 of x cannot be read"
        ),
    }


def test_a_malformed_body_has_dapr_s_words() -> None:
    response = ask(make_app(FakeFacade(state())), "POST", f"{AT}/order-1/pause", content=b"{")
    assert response.status_code == 400
    assert response.json()["errorCode"] == "ERR_MALFORMED_REQUEST"
    assert response.json()["message"].startswith("failed deserializing HTTP body: ")


# The rest of table 1.4 cannot happen here: ERR_WORKFLOW_NAME_MISSING, ERR_INSTANCE_ID_PROVIDED_MISSING and
# ERR_WORKFLOW_EVENT_NAME_MISSING need an empty piece of the path, which is cleaned away; ERR_WORKFLOW_COMPONENT_…
# ended with Dapr 1.14; ERR_ACTOR_RUNTIME_NOT_FOUND needs a sidecar without a store.
@pytest.mark.parametrize("target", [f"{AT}//start", f"{AT}//pause", f"{AT}/order-1/raiseEvent/", "/v1.0/workflows"])
def test_an_empty_piece_of_the_path_is_no_piece(target: str) -> None:
    response = ask(make_app(FakeFacade(state())), "POST", target)
    assert response.status_code == 404
    assert response.json()["errorCode"] == "ERR_DIRECT_INVOKE"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/v1.0"),
        ("GET", "/v2.0/workflows/dapr/order-1"),
        ("GET", "/v1.0/workflows/dapr"),
        ("GET", "/V1.0/workflows/dapr/order-1"),
        ("GET", "/v1.0/workflows/dapr/order-1/history"),
        ("POST", "/v1.0/workflows/dapr/order-1"),
        ("DELETE", "/v1.0/workflows/dapr/order-1"),
        ("HEAD", "/v1.0/workflows/dapr/order-1"),
        ("OPTIONS", "/v1.0/workflows/dapr/order-1"),
        ("GET", "/v1.0/workflows/dapr/order-1/pause"),
        ("PUT", "/v1.0/workflows/dapr/order-1/raiseEvent/E"),
        ("POST", "/v1.0/healthz"),
        ("HEAD", "/v1.0/healthz"),
        ("GET", "/v1.0/shutdown"),
        ("POST", "/v1.0/metadata"),
        ("PUT", "/v1.0/metadata"),
        ("POST", "/openapi.json"),
    ],
)
def test_an_unknown_path_and_a_wrong_method_are_the_same(method: str, target: str) -> None:
    facade = FakeFacade(state())
    response = ask(make_app(facade), method, target)
    assert response.status_code == 404
    assert facade.calls == []
    assert "allow" not in response.headers
    assert response.headers["content-type"] == "application/json"
    if method != "HEAD":
        assert response.json() == {
            "errorCode": "ERR_DIRECT_INVOKE",
            "message": "failed getting app id either from the URL path or the header dapr-app-id",
        }


REQUESTS = {
    "start": ("POST", f"{AT}/W/start?instanceID=x"),
    "get": ("GET", f"{AT}/x"),
    "raise_event": ("POST", f"{AT}/x/raiseEvent/E"),
    "pause": ("POST", f"{AT}/x/pause"),
    "resume": ("POST", f"{AT}/x/resume"),
    "terminate": ("POST", f"{AT}/x/terminate"),
    "purge": ("POST", f"{AT}/x/purge"),
}


def test_every_operation_has_a_row() -> None:
    assert set(FAILURES) == set(REQUESTS) == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (MailboxFull(Address("workflow", "x"), messages_max=10), 429, "ERR_MAILBOX_FULL"),
        (HostStopping(), 503, "ERR_HOST_STOPPING"),
        (HostUnreachable("host-1"), 503, "ERR_HOST_UNREACHABLE"),
        (HostSilent("host-1", waited_s=5.0), 503, "ERR_HOST_SILENT"),
        (StoreHangs(), 503, "ERR_STORE_FAILED"),
        (StoreFailed("the disk is full"), 503, "ERR_STORE_FAILED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_may_work_later_says_when(operation: str, failure: PerdureError, status: int, code: str) -> None:
    facade = FakeFacade()
    facade.failure = failure
    response = ask(make_app(facade), *REQUESTS[operation])
    assert response.status_code == status
    assert response.json() == {"errorCode": code, "message": str(failure)}
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize(
    "failure",
    [
        InvalidRequest("no instance can have this name"),
        StoreError("odd"),
        NotOwner(Address("workflow", "x"), shard=3, owner="other"),
        ActorFailed(Address("workflow", "x"), ZeroDivisionError("division by zero")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_other_error_of_ours_fills_the_operation_s_row(operation: str, failure: PerdureError) -> None:
    facade = FakeFacade()
    facade.failure = failure
    response = ask(make_app(facade), *REQUESTS[operation])
    assert response.status_code == 500
    assert response.json()["errorCode"] == FAILURES[operation].code
    assert response.json()["message"].endswith(str(failure))
    assert "retry-after" not in response.headers


def test_braces_and_odd_characters_in_names_are_only_text() -> None:
    response = ask(make_app(), "POST", "/v1.0/workflows/dapr/%7Berror%7D%7B0%7D/raiseEvent/%22%0A")
    assert response.json()["message"] == (
        "error raising event on workflow '{error}{0}': failed to raise event \"\n on workflow {error}{0}: "
        "failed to raise event: no such instance exists"
    )


def test_an_error_text_that_is_no_unicode_does_not_make_it_worse() -> None:
    facade = FakeFacade()
    facade.failure = PerdureError("no file caf\udce9")
    response = ask(make_app(facade), "GET", f"{AT}/x")
    assert response.status_code == 500
    assert response.json()["message"].endswith("no file caf?")


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_bug_of_ours_is_not_told_to_strangers(operation: str) -> None:
    facade = FakeFacade()
    facade.failure = ZeroDivisionError("the secret")
    response = ask(make_app(facade), *REQUESTS[operation])
    assert response.status_code == 500
    assert response.json() == {
        "errorCode": "ERR_INTERNAL",
        "message": "an internal error of Perdure; its log has the details",
    }
    assert "secret" not in response.text


def test_only_what_perdure_adds_has_codes_of_its_own() -> None:
    assert sorted(row.code for row in TRY_AGAIN.values()) == [
        "ERR_APP_UNKNOWN",
        "ERR_HOST_SILENT",
        "ERR_HOST_STOPPING",
        "ERR_HOST_UNREACHABLE",
        "ERR_MAILBOX_FULL",
        "ERR_STORE_FAILED",
    ]


def test_advice_is_a_member_of_its_own_on_the_management_api_alone() -> None:
    error = EventRefused("i", "go", "COMPLETED")
    problem, advice = error.parts()
    assert json.loads(refusal_json(management_refusal(error))) == {
        "errorCode": "ERR_EVENT_REFUSED",
        "message": f"{problem} Start it anew (if_exists=restart), or rerun it.",
        "problem": problem,
        "advice": "start_anew",
    }
    assert advice is Advice.START_ANEW
    # On Dapr's routes the shape is Dapr's.
    facade = FakeFacade()
    facade.failure = error
    said = ask(make_app(facade), *REQUESTS["raise_event"]).json()
    assert sorted(said) == ["errorCode", "message"]
    assert said["message"].endswith(str(error))


def test_an_error_around_one_with_advice_has_its_problem_and_advice_too() -> None:
    around = Refusal(RERUN_REFUSED, instance_id="i", error=EventRefused("i", "go", "COMPLETED"))
    problem, advice = around.parts()
    assert problem.startswith("instance 'i' was not run again: event 'go' was not taken")
    assert f"{problem} Start it anew (if_exists=restart), or rerun it." == str(around)
    assert advice is Advice.START_ANEW
