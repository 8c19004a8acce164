"""The blocking client reruns, repairs, runs bulk operations and reads the audit, as the other client does."""

from collections.abc import Iterator

import pytest

import perdure
from perdure.client.blocking import BlockingClient
from perdure.client.blocking_instances import BlockingHandle

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN
from ..support.processes.shop_app import Receipt, order, waits


@pytest.fixture
def client(daemon: Daemon) -> Iterator[BlockingClient]:
    with perdure.connect_sync(daemon.url, token=TOKEN) as client:
        yield client


def test_what_has_ended_is_run_again(client: BlockingClient, new_id: str) -> None:
    handle = client.start(order, input=1.5, instance_id=new_id)
    assert handle.result() == Receipt(1.5)
    assert client.plan_rerun(handle).kept == []
    again = client.rerun(handle, input=2, new_id=f"{new_id}-again", reason="once more")
    assert type(again) is BlockingHandle
    assert again == f"{new_id}-again"
    assert client.result(again, workflow=order) == Receipt(2.0)
    assert [(entry.action, entry.reason) for entry in client.audit(instance_id=again).items] == [("rerun", "once more")]


def test_many_are_acted_on_at_once_and_the_operation_is_told(client: BlockingClient, new_id: str) -> None:
    # Given two instances that wait, and a plan for both,
    for number in range(2):
        client.start(waits, instance_id=f"{new_id}-{number}")
    plan = client.plan_bulk("terminate", id_prefix=new_id, reason="no use")
    assert plan.matches == 2
    # when it begins,
    begun = client.bulk("terminate", plan.plan)
    for number in range(2):
        client.wait(f"{new_id}-{number}", timeout=30)
    # then it is listed, and cannot be stopped after its end.
    assert client.operation(begun.id).reason == "no use"
    assert begun.id in [each.id for each in client.operations().items]
    assert client.cancel_operation(begun.id).id == begun.id


def test_what_waits_for_nothing_that_can_be_answered_is_not_repaired(client: BlockingClient, new_id: str) -> None:
    handle = client.start(waits, instance_id=new_id)
    with pytest.raises(perdure.PerdureError, match="waits for no activity"):
        client.repair(handle, "complete", event_id=1, result=1)
    handle.terminate()


def test_a_history_goes_out_and_comes_in(client: BlockingClient, new_id: str) -> None:
    client.run(order, input=1.5, instance_id=new_id)
    with client.export(new_id) as lines:
        exported = "\n".join(lines)
    taken = client.import_history(exported.encode(), new_id=f"{new_id}-2")
    assert type(taken) is BlockingHandle
    assert taken.result() == {"total": 1.5}
    assert client.report("system").app_id == "shop"
