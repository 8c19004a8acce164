"""The state calls over gRPC have Dapr's answers, with its codes and details."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import grpc
import pytest

from perdure.rpc.messages import BadRequest, ErrorInfo, ResourceInfo, Status

from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import Client, Host, run, running
from ...support.doors.state_doors import state_engine

S = "statestore"
CLASSES = {kind.DESCRIPTOR.full_name: kind for kind in (BadRequest, ErrorInfo, ResourceInfo)}


def told(story: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with state_engine() as (engine, _):
            host = Host(FakeManagement())
            host.sidecar.states = engine.states
            with anyio.fail_after(30):
                async with running(host) as client:
                    await story(client)

    anyio.run(main)


async def failure(client: Client, name: str, /, **fields: Any) -> tuple[str, str, list[Any]]:
    """Call a method that fails: the code, the text and the details."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await client.call(name, **fields)
    error = failed.value
    details: list[Any] = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = Status.FromString(value)
            assert (status.code, status.message) == (error.code().value[0], error.details())
            details = [CLASSES[each.type_url.rpartition("/")[2]].FromString(each.value) for each in status.details]
    return error.code().name, error.details() or "", details


def item(key: str, value: bytes = b"", *, etag: str | None = None, **more: Any) -> dict[str, Any]:
    return {"key": key, "value": value, **({"etag": {"value": etag}} if etag is not None else {}), **more}


def test_saved_values_are_read_and_deleted() -> None:
    async def story(client: Client) -> None:
        value = b"\0 any bytes \xff"
        await client.call("SaveState", store_name=S, states=[item("a", value), item("b")])
        got = await client.call("GetState", store_name=S, key="a", consistency="CONSISTENCY_STRONG")
        assert (got.data, got.etag, dict(got.metadata)) == (value, "1", {})
        missing = await client.call("GetState", store_name=S, key="none")
        assert (missing.data, missing.etag) == (b"", "")
        bulk = await client.call("GetBulkState", store_name=S, keys=["b", "none", "a"])
        assert [(each.key, each.data, each.etag, each.error) for each in bulk.items] == [
            ("b", b"", "2", ""), ("none", b"", "", ""), ("a", value, "1", ""),
        ]  # fmt: skip
        await client.call("DeleteState", store_name=S, key="a", etag={"value": "1"})
        await client.call("DeleteBulkState", store_name=S, states=[item("b"), item("none")])
        bulk = await client.call("GetBulkState", store_name=S, keys=["a", "b"])
        assert [each.etag for each in bulk.items] == ["", ""]

    told(story)


def test_nothing_to_do_is_done() -> None:
    async def story(client: Client) -> None:
        await client.call("SaveState", store_name=S)
        await client.call("DeleteBulkState", store_name=S)
        await client.call("ExecuteStateTransaction", storeName=S)
        assert not (await client.call("GetBulkState", store_name=S)).items

    told(story)


def test_a_wrong_etag_aborts_and_says_which_is_there() -> None:
    async def story(client: Client) -> None:
        await client.call("SaveState", store_name=S, states=[item("a", b"1")])
        before, at = "possible etag mismatch. error from state store", "key=orders||a: current=1, expect=9"
        why = f"{before}: state etag not match for {at}"
        failed = "failed saving state in state store", "failed deleting state"
        for call, fields, reason, before in (
            ("SaveState", {"states": [item("a", etag="9")]}, "ERR_STATE_SAVE", f"{failed[0]} {S}"),
            ("DeleteState", {"key": "a", "etag": {"value": "9"}}, "ERR_STATE_DELETE", f"{failed[1]} with key a"),
            (
                "DeleteBulkState", {"states": [item("a", etag="9")]}, "ERR_STATE_BULK_DELETE",
                f"{failed[1]} in state store {S}",
            ),
        ):  # fmt: skip
            code, text, details = await failure(client, call, store_name=S, **fields)
            assert (code, text) == ("ABORTED", f"{before}: {why}")
            assert [(detail.reason, detail.domain) for detail in details] == [(reason, "dapr.io")]
        first = {"concurrency": "CONCURRENCY_FIRST_WRITE"}
        code, _, _ = await failure(client, "SaveState", store_name=S, states=[item("a", options=first)])
        assert code == "ABORTED"

    told(story)


def test_a_transaction_is_whole_or_not_at_all() -> None:
    async def story(client: Client) -> None:
        def of(*operations: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
            return [{"operationType": name, "request": asked} for name, asked in operations]

        await client.call(
            "ExecuteStateTransaction", storeName=S, operations=of(("upsert", item("a", b"1")), ("delete", item("b")))
        )
        code, text, details = await failure(
            client,
            "ExecuteStateTransaction",
            storeName=S,
            operations=of(("delete", item("a")), ("upsert", item("b", etag="9"))),
        )
        assert code == "INTERNAL"
        assert text.startswith("error while executing state transaction: possible etag mismatch")
        assert details[0].reason == "ERR_STATE_TRANSACTION"
        assert (await client.call("GetState", store_name=S, key="a")).data == b"1"
        code, text, details = await failure(
            client, "ExecuteStateTransaction", storeName=S, operations=of(("merge", item("a")))
        )
        assert (code, text) == ("UNIMPLEMENTED", "operation type merge not supported")

    told(story)


def test_a_store_that_is_not_there_and_one_where_there_is_none() -> None:
    async def story(client: Client) -> None:
        code, text, details = await failure(client, "SaveState", store_name="nope", states=[item("")])
        assert (code, text) == ("INVALID_ARGUMENT", "state store nope is not found")
        assert [(detail.reason, dict(detail.metadata)) for detail in details] == [("DAPR_STATE_NOT_FOUND", {})]

    told(story)

    async def without(client: Client) -> None:
        code, text, details = await failure(client, "GetState", store_name="nope", key="k")
        assert (code, text) == ("FAILED_PRECONDITION", "state store nope is not configured")
        assert details[0].reason == "DAPR_STATE_NOT_CONFIGURED"

    run(Host(FakeManagement()), without)


def test_a_key_that_cannot_be() -> None:
    async def story(client: Client) -> None:
        code, text, details = await failure(client, "SaveState", store_name=S, states=[item("invalid||key")])
        assert (code, text) == ("INVALID_ARGUMENT", "input key/keyPrefix 'invalid||key' can't contain '||'")
        bad, resource, info = details
        assert [(each.field, each.description) for each in bad.field_violations] == [("invalid||key", text)]
        assert (resource.resource_type, resource.resource_name, resource.owner) == ("state", S, "")
        assert info.reason == "DAPR_STATE_ILLEGAL_KEY"
        code, text, details = await failure(client, "SaveState", store_name=S, states=[item("", b"v")])
        assert (code, text) == ("INVALID_ARGUMENT", "state key cannot be empty")

    told(story)


def test_no_store_can_be_queried() -> None:
    async def story(client: Client) -> None:
        code, text, details = await failure(client, "QueryStateAlpha1", store_name=S, query="{}")
        assert (code, text) == ("INTERNAL", "state store does not support querying")
        assert details[0].resource_name == S
        assert details[1].reason == "DAPR_STATE_QUERYING_NOT_SUPPORTED"

    told(story)


def test_a_time_to_live_is_told() -> None:
    async def story(client: Client) -> None:
        await client.call("SaveState", store_name=S, states=[item("a", b"1", metadata={"ttlInSeconds": "60"})])
        got = await client.call("GetState", store_name=S, key="a")
        assert got.metadata["ttlExpireTime"].endswith("Z")
        code, text, _ = await failure(
            client, "SaveState", store_name=S, states=[item("a", metadata={"ttlInSeconds": "x"})]
        )
        assert code == "INTERNAL"
        assert text.endswith('strconv.Atoi: parsing "x": invalid syntax')

    told(story)


def test_components_are_in_the_metadata() -> None:
    async def story(client: Client) -> None:
        [component] = (await client.call("GetMetadata")).registered_components
        assert (component.name, list(component.capabilities)) == (S, ["ETAG", "TRANSACTIONAL", "TTL"])

    told(story)
