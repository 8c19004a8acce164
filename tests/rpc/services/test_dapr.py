"""Dapr's own API gives the same answers over gRPC as over HTTP, in the same words."""

from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.errors import HostStopping, MailboxFull, RingUnknown
from perdure.actors.store.errors import StoreFailed
from perdure.api import words
from perdure.api.sidecar import Sidecar
from perdure.rpc.services.dapr import CODES
from perdure.runtime.dates import to_us
from perdure.runtime.errors import ChildUnfinished
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.history.status import Status

from ...support.doors.fake_facade import CREATED_US, FakeControl, state
from ...support.doors.fake_management import FakeManagement
from ...support.doors.fake_peers import daemon_of
from ...support.doors.rpc_host import APP_ID, Client, Host, ask, fail, run

AGES = ("Alpha1", "Beta1")
ON_AN_INSTANCE = ("GetWorkflow", "PurgeWorkflow", "TerminateWorkflow", "PauseWorkflow", "ResumeWorkflow")
NAMED = {"workflow_name": "Order", "event_name": "go"}


def make_host(*states: Any, **options: Any) -> Host:
    return Host(FakeManagement(*states), **options)


@pytest.mark.parametrize("age", AGES)
def test_the_seven_operations_reach_the_facade(age: str) -> None:
    host = make_host(state("old", Status.COMPLETED))

    async def test(client: Client) -> None:
        started = await client.call(f"StartWorkflow{age}", instance_id="a", workflow_name="Order", input=b'{"n":1}')
        assert started.instance_id == "a"
        of: dict[str, Any] = {"instance_id": "a", "workflow_component": "dapr"}
        await client.call(f"RaiseEventWorkflow{age}", **of, event_name="Go", event_data=b"1")
        await client.call(f"PauseWorkflow{age}", **of)
        assert (await client.call(f"GetWorkflow{age}", **of)).runtime_status == "SUSPENDED"
        await client.call(f"ResumeWorkflow{age}", **of)
        await client.call(f"TerminateWorkflow{age}", **of)
        await client.call(f"PurgeWorkflow{age}", instance_id="old")

    run(host, test)
    assert host.facade.calls == [
        ("start", "Order", "a", '{"n":1}', None, False, None),
        ("raise_event", "a", "Go", "1"),
        ("suspend", "a", None),
        ("inspect", "a"),
        ("resume", "a", None),
        ("terminate", "a", None, True),
        ("purge", "old", True, False),
    ]


def test_an_instance_is_described_as_over_http() -> None:
    failure = FailureDetails(error_type="ValueError", message="no", stack_trace="at x")
    failed = state("a", Status.FAILED, failure=failure, custom_status="busy", output="ignored")
    answer = ask(make_host(failed), "GetWorkflowBeta1", instance_id="a")
    assert (answer.instance_id, answer.workflow_name, answer.runtime_status) == ("a", "OrderProcessing", "FAILED")
    assert answer.created_at.ToMicroseconds() == CREATED_US
    assert answer.last_updated_at.ToMicroseconds() == CREATED_US + 1_000_000
    assert dict(answer.properties) == {
        "dapr.workflow.input": '{"item":"paperclips"}',
        "dapr.workflow.custom_status": "busy",
        "dapr.workflow.failure.error_type": "ValueError",
        "dapr.workflow.failure.error_message": "no",
        "dapr.workflow.failure.stack_trace": "at x",
    }


def test_a_pending_instance_has_neither_times_nor_properties() -> None:
    answer = ask(make_host(state("a", Status.PENDING)), "GetWorkflowBeta1", instance_id="a")
    assert answer.created_at.ToJsonString() == "0001-01-01T00:00:00Z"
    assert (answer.runtime_status, dict(answer.properties)) == ("PENDING", {})


def test_a_missing_instance_is_described_by_its_id_and_no_status() -> None:
    answer = ask(make_host(), "GetWorkflowBeta1", instance_id="a")
    assert [field.name for field, _ in answer.ListFields()] == ["instance_id"]


def test_no_bytes_are_an_empty_input_and_no_event_data() -> None:
    host = make_host()

    async def test(client: Client) -> None:
        await client.call("StartWorkflowBeta1", instance_id="a", workflow_name="Order")
        await client.call("RaiseEventWorkflowBeta1", instance_id="a", event_name="go")

    run(host, test)
    assert host.facade.calls == [
        ("start", "Order", "a", "", None, False, None),
        ("raise_event", "a", "go", None),
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T04:00:00Z", 1_795_406_400_000_000),
        ("2026-11-23T05:00:00.1234567+01:00", 1_795_406_400_123_456),
    ],
)
def test_a_start_time_is_an_option(text: str, moment: int) -> None:
    host = make_host()
    ask(host, "StartWorkflowBeta1", instance_id="a", workflow_name="W", options={"dapr.workflow.start_time": text})
    assert host.facade.calls == [("start", "W", "a", "", moment, False, None)]


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-11-23", "2026-11-23T04:00:00", "2026-13-23T04:00:00Z"])
def test_a_start_time_in_another_format_is_refused(text: str) -> None:
    options = {"dapr.workflow.start_time": text}
    failure = fail(make_host(), "StartWorkflowBeta1", workflow_name="W", options=options)
    assert failure == (
        "INTERNAL",
        "error starting workflow 'W': start times must be in RFC3339 format (e.g. \"2009-11-10T23:00:00Z\")",
    )


@pytest.mark.parametrize("operation", [*ON_AN_INSTANCE, "RaiseEventWorkflow"])
def test_an_operation_without_an_id_is_refused(operation: str) -> None:
    assert fail(make_host(), f"{operation}Beta1") == ("INVALID_ARGUMENT", "no instance ID was provided")


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("StartWorkflowBeta1", {"instance_id": "a"}, "workflow name is not configured"),
        ("RaiseEventWorkflowBeta1", {"instance_id": "a"}, "missing workflow event name"),
        (
            "StartWorkflowBeta1",
            {"instance_id": "a" * 65, "workflow_name": "W"},
            "workflow instance ID exceeds the max length of 64 characters",
        ),
        (
            "StartWorkflowBeta1",
            {"instance_id": "a:b", "workflow_name": "W"},
            "workflow instance ID 'a:b' is invalid: only alphanumeric and underscore characters are allowed",
        ),
        (
            "GetWorkflowBeta1",
            {"instance_id": "a", "app_id": "x.y"},
            "workflow app ID 'x.y' is invalid: only alphanumeric, dash and underscore characters are allowed",
        ),
        (
            "StartWorkflowBeta1",
            {"workflow_name": "W", "input": b"\xff"},
            "the payload cannot be kept: it is not UTF-8: invalid start byte at byte 0",
        ),
    ],
)
def test_a_faulty_request_is_answered_in_daprs_words(name: str, fields: dict[str, Any], text: str) -> None:
    assert fail(make_host(), name, **fields) == ("INVALID_ARGUMENT", text)


def test_ids_from_elsewhere_are_reachable() -> None:
    assert ask(make_host(state("a:0001")), "GetWorkflowBeta1", instance_id="a:0001").runtime_status == "RUNNING"


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        (
            "RaiseEventWorkflowBeta1",
            "INTERNAL",
            "error raising event on workflow 'a': failed to raise event go on workflow a: failed to raise event: "
            "no such instance exists",
        ),
        (
            "PauseWorkflowBeta1",
            "INTERNAL",
            "error pausing workflow a: failed to pause workflow a: failed to suspend workflow: no such instance exists",
        ),
        ("TerminateWorkflowBeta1", "NOT_FOUND", "unable to find workflow with the provided instance ID: a"),
        ("PurgeWorkflowAlpha1", "NOT_FOUND", "unable to find workflow with the provided instance ID: a"),
    ],
)
def test_a_change_of_a_missing_instance_is_an_error(name: str, code: str, text: str) -> None:
    named = {"event_name": "go"} if "Raise" in name else {}
    assert fail(make_host(), name, instance_id="a", **named) == (code, text)


def test_a_duplicate_id_is_an_internal_error_as_in_dapr() -> None:
    failure = fail(make_host(state("a")), "StartWorkflowBeta1", instance_id="a", workflow_name="W")
    assert failure == (
        "INTERNAL",
        "error starting workflow 'W': unable to start workflow: failed to start workflow: rpc error: "
        "code = AlreadyExists desc = an active workflow with ID 'a' already exists",
    )


def test_an_unfinished_descendant_is_named() -> None:
    host = make_host()
    host.facade.failure = ChildUnfinished("a", ("c",))
    code, text = fail(host, "StartWorkflowBeta1", instance_id="a", workflow_name="W")
    assert code == "INTERNAL"
    assert text.endswith("desc = cannot recreate workflow with ID 'a': child workflow 'c': " + UNFINISHED)


UNFINISHED = "orchestration has not yet completed"


def test_a_running_instance_is_not_purged() -> None:
    assert fail(make_host(state("a")), "PurgeWorkflowBeta1", instance_id="a") == (
        "INTERNAL",
        f"error purging workflow a: failed to Purge workflow a: failed to purge workflow state: {UNFINISHED}",
    )


def test_a_stalled_instance_says_so() -> None:
    code, text = fail(make_host(state("a", Status.STALLED)), "ResumeWorkflowBeta1", instance_id="a")
    assert (code, text.rsplit(": ", 1)[1]) == ("INTERNAL", "workflow is stalled")


@pytest.mark.parametrize("operation", [*ON_AN_INSTANCE, "RaiseEventWorkflow", "StartWorkflow"])
def test_another_app_is_asked_for_its_instances(operation: str) -> None:
    fields = {key: value for key, value in NAMED.items() if key.split("_")[0] in operation.lower()}
    fields.pop("workflow_name" if operation != "StartWorkflow" else "", None)
    host = make_host()
    host.facade.of_app("billing").failure = RingUnknown("billing")
    found = fail(host, f"{operation}Beta1", instance_id="a", app_id="billing", **fields)
    assert found == ("UNAVAILABLE", "no host has the app ID 'billing'")
    assert host.facade.calls == []


def test_our_own_app_may_be_named() -> None:
    assert ask(make_host(state("a")), "GetWorkflowBeta1", instance_id="a", app_id=APP_ID).runtime_status == "RUNNING"


@pytest.mark.parametrize(
    "failure", [MailboxFull(Address("workflow", "a"), messages_max=3), HostStopping(), StoreFailed("the disk is full")]
)
def test_what_may_be_tried_again_is_unavailable(failure: Exception) -> None:
    host = make_host()
    host.facade.failure = failure
    assert fail(host, "GetWorkflowBeta1", instance_id="a") == ("UNAVAILABLE", str(failure))


def test_metadata_says_what_there_is() -> None:
    host = make_host()

    async def test(client: Client) -> None:
        await client.call("SetMetadata", key="cliPID", value="7")
        found = await client.call("GetMetadata")
        assert (found.id, found.runtime_version, found.workflows.connected_workers) == (APP_ID, "0.1.0", 1)
        assert dict(found.extended_metadata) == {"cliPID": "7", "daprRuntimeVersion": "0.1.0"}
        counts = {actor.type: actor.count for actor in found.actor_runtime.active_actors}
        assert counts == {
            f"dapr.internal.default.{APP_ID}.workflow": 3,
            f"dapr.internal.default.{APP_ID}.activity": 2,
            f"dapr.internal.default.{APP_ID}.retentioner": 0,
        }
        assert (found.actor_runtime.runtime_status, found.actor_runtime.host_ready) == (2, True)
        assert len(found.active_actors_count) == 3
        host.control.workers = 0
        assert not (await client.call("GetMetadata")).HasField("workflows")

    run(host, test)


def test_metadata_speaks_for_all_hosts_of_a_daemon() -> None:
    here, there = daemon_of(2)
    other = Sidecar(FakeControl(), app_id=APP_ID, peers=there)
    host = make_host(peers=here)

    async def test(client: Client) -> None:
        await other.put("cliPID", "7")
        found = await client.call("GetMetadata")
        assert found.extended_metadata["cliPID"] == "7"
        assert [actor.count for actor in found.actor_runtime.active_actors] == [6, 4, 0]
        # A host that is away gives no answer, and need not be notified.
        there.away = True
        await client.call("SetMetadata", key="k", value="x")
        assert (await client.call("GetMetadata")).extended_metadata["k"] == "x"

    run(host, test)


def test_metadata_has_a_limit() -> None:
    code, text = fail(make_host(), "SetMetadata", key="k", value="x" * 1024 * 1024)
    assert code == "RESOURCE_EXHAUSTED"
    assert "1048576 bytes in all" in text


def test_shutdown_stops_the_daemon() -> None:
    host = make_host()
    ask(host, "Shutdown")
    assert host.control.shutdowns == [False]


def test_every_status_of_the_words_has_a_code() -> None:
    rows = [row for row in vars(words).values() if isinstance(row, words.ErrorAnswer)]
    rows += [*words.FAILURES.values(), *words.TRY_AGAIN.values()]
    assert {row.status for row in rows} == set(CODES)


def test_the_date_of_the_tests_is_the_one_that_is_meant() -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    assert to_us(datetime(2026, 11, 23, 4, tzinfo=UTC)) == 1_795_406_400_000_000
