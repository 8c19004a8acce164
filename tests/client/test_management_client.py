"""All methods of a client, of a daemon and of an embedded engine, on asyncio and on trio."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any

import anyio
import pytest

from perdure import Handle, InstanceNotFound
from perdure.client.errors import ServerRefused
from perdure.client.management_client import ManagementClient, StatusChange, checked, events_of
from perdure.runtime.errors import InvalidRequest, RequestRefused

from .conftest import Author

pytestmark = pytest.mark.anyio


def total_of(receipt: Any) -> float:
    """The total of a receipt: as the app has it, or as JSON has it for a client that does not know the app."""
    total: float = receipt["total"] if isinstance(receipt, dict) else receipt.total
    return total


async def some(client: ManagementClient, prefix: str, number: int) -> list[str]:
    """Start instances that wait, with ids of a prefix."""
    ids = [f"{prefix}-{n}" for n in range(number)]
    for instance_id in ids:
        await client.start("waits", instance_id=instance_id, tags={"test": prefix})
    return ids


async def test_lists_come_in_pages_and_whole(client: ManagementClient, new_id: str) -> None:
    ids = await some(client, new_id, 5)
    page = await client.list(id_prefix=new_id, order="created", limit=2, extras=["waiting_for"])
    assert [item.id for item in page.items] == ids[:2]
    assert page.cursor is not None
    rest = await client.list(id_prefix=new_id, order="created", cursor=page.cursor)
    assert [item.id for item in rest.items] == ids[2:]
    assert [item.id async for item in client.instances(id_prefix=new_id, order="created")] == ids
    assert [item.id async for item in client.instances(tags={"test": new_id}, status="failed")] == []
    for limit, number in ((0, 0), (2, 2), (9, 5)):
        found = [item async for item in client.instances(id_prefix=new_id, limit=limit, extras=["waiting_for"])]
        assert len(found) == number
        assert all(item.waiting_for for item in found)


async def test_counts_are_by_what_was_asked_for(client: ManagementClient, new_id: str) -> None:
    await some(client, new_id, 3)
    counted = await client.count(by=["status", "name"], id_prefix=new_id)
    assert [(group.status, group.name, group.count) for group in counted.counts] == [("RUNNING", "waits", 3)]
    assert (await client.count(by="status", id_prefix=new_id)).counts[0].count == 3
    assert (await client.count(id_prefix=f"{new_id}-none")).counts[0].count == 0


async def test_a_filter_that_is_not_known_is_refused_by_its_name(client: ManagementClient) -> None:
    with pytest.raises(ServerRefused, match="colour"):
        await client.list(colour="red")  # type: ignore[call-arg]


async def test_a_description_says_what_is_waited_for(client: ManagementClient, new_id: str) -> None:
    await some(client, new_id, 1)
    described = await client.describe(f"{new_id}-0")
    assert described is not None
    assert isinstance(described.waiting_for, list)
    assert [(entry.kind, entry.name) for entry in described.waiting_for] == [("event", "approval")]
    assert described.tags == {"test": new_id}
    assert await client.describe(new_id) is None


async def test_a_wait_ends_with_the_status_or_with_the_time(client: ManagementClient, new_id: str) -> None:
    await some(client, new_id, 1)
    assert await client.wait_for(f"{new_id}-0", timeout=0.05) is None
    found = await client.wait_for(f"{new_id}-0", until=["running"], timeout=5)
    assert found is not None
    assert found.status == "RUNNING"
    with pytest.raises(InstanceNotFound):
        await client.wait_for(new_id)


async def test_a_wait_for_nothing_is_refused(client: ManagementClient, new_id: str) -> None:
    await some(client, new_id, 1)
    with pytest.raises(InvalidRequest, match="never end"):
        await client.wait(f"{new_id}-0", until=lambda _: False)


@pytest.mark.parametrize("key", ["ü", "a\n", " a", "a b", "", "x" * 257])
async def test_a_key_that_fits_into_no_header_is_refused(client: ManagementClient, new_id: str, key: str) -> None:
    with pytest.raises(InvalidRequest, match="visible characters"):
        await client.start("waits", idempotency_key=key)
    await some(client, new_id, 1)
    with pytest.raises(InvalidRequest, match="visible characters"):
        await client.raise_event(f"{new_id}-0", "approval", idempotency_key=key)


async def test_the_last_update_is_the_newest_event(client: ManagementClient, new_id: str) -> None:
    # Given an instance that waits,
    (instance_id,) = await some(client, new_id, 1)
    before = await client.get(instance_id)
    # when an event arrives that it does not wait for, and that changes no status,
    await client.raise_event(instance_id, "other", 1)
    after = await client.get(instance_id)
    # then it counts.
    assert before is not None
    assert after is not None
    assert after.last_updated_at > before.last_updated_at
    newest = (await client.history(instance_id, newest_first=True, limit=1)).items[0]
    assert datetime.fromisoformat(newest["timestamp"]) == after.last_updated_at


async def test_a_client_reads_histories_in_pages_and_payloads(client: ManagementClient, new_id: str) -> None:
    await client.run("order", input=12.5, instance_id=new_id)
    history = await client.history(new_id, limit=3, payloads="none")
    assert history.cursor is not None
    rest = await client.history(new_id, after=history.cursor)
    events = [*history.items, *rest.items]
    started = next(event for event in events if "executionStarted" in event)
    assert await client.payload(new_id, started["key"], "input") == "12.5"
    newest = await client.history(new_id, newest_first=True, limit=1)
    assert "executionCompleted" in newest.items[0]
    assert await client.payloads(new_id) == ("12.5", '{"total":12.5}')
    with pytest.raises(InstanceNotFound):
        await client.payloads(f"{new_id}-not")


async def test_a_tree_has_the_children(client: ManagementClient, new_id: str) -> None:
    await client.start("parent", instance_id=new_id)
    while await client.describe(f"{new_id}-child") is None:
        await anyio.sleep(0.01)
    tree = await client.tree(new_id)
    assert [(child.id, child.name) for child in tree.children] == [(f"{new_id}-child", "waits")]


async def test_a_start_is_done_once_for_each_key(client: ManagementClient, new_id: str) -> None:
    first = await client.start("waits", idempotency_key=new_id)
    assert isinstance(first, Handle)
    assert await client.start("waits", idempotency_key=new_id) == first
    with pytest.raises(RequestRefused):
        await client.start("waits", instance_id=first, if_exists="reject")
    assert await client.start("waits", instance_id=first, if_exists="return") == first
    assert await client.start("waits", instance_id=first, if_exists="restart", force=True) == first


async def test_an_event_is_sent_once_for_each_key(client: ManagementClient, new_id: str) -> None:
    await some(client, new_id, 1)
    for _ in range(2):
        await client.raise_event(f"{new_id}-0", "approval", 1, idempotency_key="k")
    assert (await client.wait(f"{new_id}-0")).output == 1


async def test_an_action_may_name_the_run_that_it_is_for(client: ManagementClient, new_id: str) -> None:
    await some(client, new_id, 1)
    described = await client.describe(f"{new_id}-0")
    assert described is not None
    with pytest.raises(ServerRefused) as caught:
        await client.act("suspend", f"{new_id}-0", expected_run="another")
    assert caught.value.status == 412
    await client.act("suspend", f"{new_id}-0", expected_run=described.first_execution_id, reason="lunch")
    await client.act("terminate", f"{new_id}-0", output={"by": "us"})
    assert (await client.wait(f"{new_id}-0")).output == {"by": "us"}


async def test_an_instance_is_run_again_as_a_new_one(client: ManagementClient, new_id: str) -> None:
    await client.run("order", input=1, instance_id=new_id)
    again = await client.rerun(new_id, reason="test")
    assert again != new_id
    assert total_of(await again.result(timeout=10)) == 1.0
    assert total_of(await (await client.rerun(new_id, input=2, new_id=f"{new_id}-2")).result(timeout=10)) == 2.0
    plan = await client.plan_rerun(new_id, from_event=1)
    assert ([step.name for step in plan.kept], [step.name for step in plan.repeated]) == ([], ["charge"])


async def test_a_bulk_operation_is_planned_begun_and_followed(client: ManagementClient, new_id: str) -> None:
    await some(client, new_id, 4)
    planned = await client.plan_bulk("terminate", id_prefix=new_id, reason="test")
    assert (planned.matches, len(planned.sample)) == (4, 4)
    begun = await client.bulk("terminate", planned.plan)
    assert (await client.bulk("terminate", planned.plan)).id == begun.id
    while (operation := await client.operation(begun.id)).state == "RUNNING":
        await anyio.sleep(0.01)
    assert (operation.done, operation.failed) == (4, 0)
    assert begun.id in [each.id for each in (await client.operations()).items]
    assert (await client.cancel_operation(begun.id)).state == "COMPLETED"
    assert (await client.count(id_prefix=new_id, status="terminated")).counts[0].count == 4


async def test_changes_are_followed_as_they_happen(client: ManagementClient, new_id: str) -> None:
    kinds: list[str] = []
    with anyio.fail_after(20):
        async with client.events(id_prefix=new_id) as changes:
            async for change in changes:
                if change.kind == "ready":
                    await some(client, new_id, 1)
                elif change.data.get("id") == f"{new_id}-0":
                    kinds.append(change.data["status"])
                    if len(kinds) == 1:
                        await client.act("suspend", f"{new_id}-0")
                    else:
                        break
    assert kinds[-1] == "SUSPENDED"


async def test_changes_stand_in_the_audit(client: ManagementClient, author: Author, new_id: str) -> None:
    await some(client, new_id, 1)
    await client.suspend(f"{new_id}-0", reason="lunch")
    page = await client.audit(instance_id=f"{new_id}-0", action="suspend", limit=5)
    assert [(row.actor, row.door, row.reason) for row in page.items] == [(*author, "lunch")]


async def test_there_are_reports_on_the_daemon(client: ManagementClient) -> None:
    await client.run("order", input=1)
    assert "order" in [each.name for each in (await client.report("workflows")).items]
    assert "charge" in [each.name for each in (await client.report("activities")).items]
    assert [each.ready for each in (await client.report("hosts")).items] == [True]
    assert (await client.report("workers")).items == []
    assert (await client.report("attention")).stalled.count == 0
    assert (await client.report("system")).app_id == "shop"


async def test_a_history_goes_out_and_comes_in(client: ManagementClient, new_id: str) -> None:
    await client.run("order", input=1, instance_id=new_id)
    async with client.export(new_id) as exported:
        whole = [line async for line in exported]
    taken = await client.import_history("\n".join(whole).encode(), new_id=f"{new_id}-2")
    assert total_of(await taken.result()) == 1.0
    with pytest.raises(InstanceNotFound):
        async with client.export(f"{new_id}-none") as exported:
            pass


async def test_a_text_with_line_ends_of_unicode_comes_through_whole(client: ManagementClient, new_id: str) -> None:
    # Given data with characters that end a line for some programs, and not in JSON,
    data = "a\u2028b\u2029c\x85d\x0be\x1cf"
    await some(client, new_id, 1)
    await client.raise_event(f"{new_id}-0", "approval", data)
    assert (await client.wait(f"{new_id}-0")).output == data
    # when the history is exported and imported,
    async with client.export(f"{new_id}-0") as exported:
        whole = [line async for line in exported]
    taken = await client.import_history("\n".join(whole).encode(), new_id=f"{new_id}-2")
    # then it is the same.
    assert await taken.result() == data


async def test_a_stream_that_is_left_early_is_over(client: ManagementClient, new_id: str) -> None:
    with pytest.raises(RuntimeError, match="of the block"):
        async with client.events(id_prefix=new_id) as changes:
            assert (await anext(aiter(changes))).kind == "ready"
            raise RuntimeError("of the block")
    async with client.events(id_prefix=new_id):
        pass


async def test_an_export_that_cannot_go_on_is_an_error() -> None:
    async with aclosing(lines('{}\n{"errorCode":"ERR_X","message":"so it is"}')) as told:
        with pytest.raises(ServerRefused, match="so it is"):
            assert [line async for line in checked(told, "i")] == []


async def lines(text: str) -> AsyncGenerator[str, None]:
    for line in text.split("\n"):
        yield line


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        ("", []),
        (": heartbeat\n\n", []),
        ('event: change\nid: 7\ndata: {"id":\ndata: "i"}\n\n', [StatusChange("7", "change", {"id": "i"})]),
        ('data:{}\n\ndata: {"a":1}\n\n', [StatusChange(None, "message", {}), StatusChange(None, "message", {"a": 1})]),
        ("id: 7\ndata: {}\n\ndata: {}\n\n", [StatusChange("7", "message", {}), StatusChange("7", "message", {})]),
        ("event: cut off\ndata: {}", []),
    ],
)
async def test_the_lines_of_a_stream_become_events(stream: str, events: list[Any]) -> None:
    assert [event async for event in events_of(lines(stream))] == events
