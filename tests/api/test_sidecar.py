"""The metadata of the sidecar is the same over each API, and at each of its hosts."""

import pytest

from perdure.api.sidecar import METADATA_BYTES_MAX, Sidecar
from perdure.api.words import METADATA_FULL, Refusal

from ..support.doors.fake_facade import FakeControl
from ..support.doors.fake_peers import daemon_of

pytestmark = pytest.mark.anyio

VERSION = {"daprRuntimeVersion": "0.1.0"}


async def extended(sidecar: Sidecar) -> dict[str, str]:
    return (await sidecar.describe()).extended


async def test_an_entry_is_kept_beside_the_version() -> None:
    sidecar = Sidecar(FakeControl(), app_id="orders")
    assert await extended(sidecar) == VERSION
    await sidecar.put("cliPID", "4711")
    await sidecar.put("app/command", "größe")
    await sidecar.put("cliPID", "4712")
    assert await extended(sidecar) == {"cliPID": "4712", "app/command": "größe", **VERSION}


async def test_the_version_is_the_runtime_s_whatever_was_put() -> None:
    sidecar = Sidecar(FakeControl(), app_id="orders")
    await sidecar.put("daprRuntimeVersion", "9")
    assert await extended(sidecar) == VERSION


async def test_a_returned_value_is_a_copy() -> None:
    sidecar = Sidecar(FakeControl(), app_id="orders")
    (await extended(sidecar))["key"] = "value"
    assert "key" not in await extended(sidecar)


async def test_two_daemons_share_nothing() -> None:
    one, other = (Sidecar(FakeControl(), app_id="orders") for _ in range(2))
    await one.put("key", "value")
    assert "key" not in await extended(other)


async def test_metadata_ends_at_its_limit_in_bytes_of_keys_and_values() -> None:
    # Given metadata that is full to the last byte,
    sidecar = Sidecar(FakeControl(), app_id="orders")
    full = "é" * ((METADATA_BYTES_MAX - 2) // 2)
    await sidecar.put("kk", full)
    # when one byte more is put,
    with pytest.raises(Refusal) as info:
        await sidecar.put("k", "")
    # then it is refused and nothing has changed,
    assert info.value.answer == METADATA_FULL
    assert str(info.value) == "metadata may hold 1048576 bytes in all, and this entry would make it 1048577"
    assert await extended(sidecar) == {"kk": full, **VERSION}
    # and a replaced entry makes room for the new one.
    await sidecar.put("kk", "x")
    await sidecar.put("k", "")
    assert await extended(sidecar) == {"kk": "x", "k": "", **VERSION}


async def test_the_metadata_hold_all_that_both_doors_say() -> None:
    control = FakeControl()
    control.is_ready, control.workers, control.actors = False, 2, {"Cart": 7}
    described = await Sidecar(control, app_id="orders").describe()
    assert (described.app_id, described.runtime_version) == ("orders", "0.1.0")
    assert (described.host_ready, described.connected_workers) == (False, 2)
    assert described.placement == "placement: connected"
    assert described.active_actors["Cart"] == 7
    assert described.extended == VERSION


def test_dapr_s_three_types_are_there_as_soon_as_a_worker_is() -> None:
    control = FakeControl()
    control.actors = {"workflow": 3, "Cart": 7}
    assert Sidecar(control, app_id="orders").active_actors() == {
        "Cart": 7,
        "dapr.internal.default.orders.workflow": 3,
        "dapr.internal.default.orders.activity": 0,
        "dapr.internal.default.orders.retentioner": 0,
    }


def test_without_a_worker_only_other_types_are_there() -> None:
    control = FakeControl()
    control.workers, control.actors = 0, {"workflow": 3, "Cart": 7}
    assert Sidecar(control, app_id="orders").active_actors() == {"Cart": 7}


def test_counting_leaves_the_daemon_s_own_counts_alone() -> None:
    control = FakeControl()
    Sidecar(control, app_id="orders").active_actors()
    assert control.actors == {"workflow": 3, "activity": 2}


async def test_each_host_counts_the_actors_of_all() -> None:
    # Given a daemon of three hosts, one of which has an actor of a type that the others lack,
    controls = [FakeControl() for _ in range(3)]
    controls[1].actors = {"workflow": 4, "Cart": 7}
    peers = daemon_of(3)
    sidecars = [Sidecar(control, app_id="orders", peers=each) for control, each in zip(controls, peers, strict=True)]
    counted = {
        "Cart": 7,
        "dapr.internal.default.orders.workflow": 10,
        "dapr.internal.default.orders.activity": 4,
        "dapr.internal.default.orders.retentioner": 0,
    }
    # when any of them is asked, then it answers for all,
    for sidecar in sidecars:
        assert (await sidecar.describe()).active_actors == counted
    # and for the remaining ones while one is away.
    peers[1].away = True
    assert (await sidecars[0].describe()).active_actors == {
        "dapr.internal.default.orders.workflow": 6,
        "dapr.internal.default.orders.activity": 4,
        "dapr.internal.default.orders.retentioner": 0,
    }


async def test_what_is_put_on_one_host_is_seen_on_all_and_outlives_it() -> None:
    # Given two hosts, on one of which an entry was put and replaced on the other,
    peers = daemon_of(2)
    one, other = (Sidecar(FakeControl(), app_id="orders", peers=each) for each in peers)
    await one.put("cliPID", "4711")
    await other.put("cliPID", "4712")
    assert await extended(one) == await extended(other) == {"cliPID": "4712", **VERSION}
    # when the first is started again, then it has what the second kept,
    peers[0].methods.clear()
    one = Sidecar(FakeControl(), app_id="orders", peers=peers[0])
    assert await extended(one) == {"cliPID": "4712", **VERSION}
    # and the second still has it while the first is away.
    peers[0].away = True
    assert await extended(other) == {"cliPID": "4712", **VERSION}


async def test_an_entry_is_kept_by_those_who_can_be_told() -> None:
    peers = daemon_of(3)
    one, other, _ = (Sidecar(FakeControl(), app_id="orders", peers=each) for each in peers)
    peers[2].away = True
    await one.put("cliPID", "4711")
    peers[0].away = True
    assert await extended(other) == {"cliPID": "4711", **VERSION}
