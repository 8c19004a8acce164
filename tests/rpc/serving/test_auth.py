"""A caller with one of the tokens is accepted; the error for others says whether theirs is missing or wrong."""

from typing import Any

import grpc
import pytest

from perdure import Status
from perdure.rpc.serving.auth import MISMATCH, MISSING, token_of
from perdure.runtime.history.attribution import By

from ...support.doors.fake_facade import state
from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import Client, Host, run

TOKENS = ("old", "new")


@pytest.mark.parametrize("token", TOKENS)
def test_any_of_the_tokens_opens_the_door(token: str) -> None:
    async def test(client: Client) -> None:
        assert (await client.call("GetInstance", with_token=token, instanceId="a")).exists
        found = await client.call("GetWorkflowBeta1", with_token=token, instance_id="a")
        assert found.runtime_status == "RUNNING"

    run(Host(FakeManagement(state("a")), api_tokens=TOKENS), test)


@pytest.mark.parametrize(("token", "text"), [(None, MISSING), ("wrong", MISMATCH), ("", MISMATCH)])
def test_without_one_no_method_is_reached(token: str | None, text: str) -> None:
    host = Host(FakeManagement(state("a")), api_tokens=TOKENS)

    async def test(client: Client) -> None:
        for name in ("Hello", "GetWorkflowAlpha1", "Shutdown"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.call(name, with_token=token)
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, text)
        stream = client.call("GetWorkItems", with_token=token)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED

    run(host, test)
    assert (host.facade.calls, host.dispatcher.workers, host.control.shutdowns) == ([], [], [])


CHANGES = [
    ("SuspendInstance", {"instanceId": "a"}),
    ("ResumeInstance", {"instanceId": "a"}),
    ("TerminateInstance", {"instanceId": "a"}),
    ("PurgeInstances", {"instanceId": "a", "force": True}),
    ("PurgeInstances", {"purgeInstanceFilter": {}}),
    ("RerunWorkflowFromEvent", {"sourceInstanceID": "a", "eventID": 1}),
    ("PauseWorkflowBeta1", {"instance_id": "a"}),
    ("ResumeWorkflowBeta1", {"instance_id": "a"}),
    ("TerminateWorkflowBeta1", {"instance_id": "a"}),
    ("PurgeWorkflowBeta1", {"instance_id": "done"}),
]


@pytest.mark.parametrize(("name", "fields"), CHANGES)
@pytest.mark.parametrize("token", [None, *TOKENS])
def test_a_change_says_for_the_audit_whose_token_came_through_this_door(
    name: str, fields: dict[str, Any], token: str | None
) -> None:
    facade = FakeManagement(state("a"), state("done", Status.COMPLETED))
    host = Host(facade, api_tokens=TOKENS) if token else Host(facade)

    async def test(client: Client) -> None:
        await client.call(name, with_token=token, **fields)

    run(host, test)
    actor = {None: "anonymous", "old": "token-1", "new": "token-2"}[token]
    assert host.facade.authors == [By(actor, "dapr-grpc")]


def test_the_texts_are_daprs() -> None:
    assert MISSING == "missing api token in request metadata"
    assert MISMATCH == "authentication error: api token mismatch"


def test_of_several_tokens_the_first_counts() -> None:
    metadata = (("a", "b"), ("dapr-api-token", "x"), ("dapr-api-token", b"y"))
    assert token_of(metadata) == b"x"
    assert token_of(metadata[2:]) == b"y"
    assert token_of(metadata[:1]) is None
