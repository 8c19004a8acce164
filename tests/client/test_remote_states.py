"""The state stores of a daemon are those of an engine in the same process: one test for both."""

from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

import perdure
from perdure import PayloadError
from perdure.client.errors import ServerRefused
from perdure.client.management_client import ManagementClient
from perdure.client.remote_states import told_of
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.state.client import DeleteValue, SavedValue, SetValue, StateClient
from perdure.runtime.state.errors import EtagMismatch, StateKeyInvalid, StateStoreNotFound, StateUnavailable

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN

pytestmark = pytest.mark.anyio

S = "statestore"
HARD_KEYS = ("a/b", "..", "?", "%2F", "a b+c", "ü\0", "#", '"')


@dataclass
class Car:
    name: str
    left: int


@pytest.fixture
def state(client: ManagementClient) -> StateClient:
    """The values of a state store, as each kind of client has them."""
    return client.state(S)


async def test_a_value_is_saved_read_as_its_type_and_deleted(state: StateClient, new_id: str) -> None:
    assert await state.look(new_id) is None
    await state.set(new_id, Car("beetle", 7))
    assert await state.get(new_id) == {"name": "beetle", "left": 7}
    found = await state.look(new_id, Car)
    assert found is not None
    assert found.value == Car("beetle", 7)
    with pytest.raises(PayloadError):
        await state.get(new_id, int)
    await state.set(new_id, Car("beetle", 6), etag=found.etag)
    now = await state.look(new_id, Car)
    assert now is not None
    assert (now.value.left, now.etag == found.etag) == (6, False)
    await state.delete(new_id, etag=now.etag)
    assert await state.get(new_id) is None
    await state.set(new_id, None)
    assert isinstance(await state.look(new_id), SavedValue)


async def test_a_value_that_another_has_changed_is_left(state: StateClient, new_id: str) -> None:
    await state.set(new_id, 1, new=True)
    with pytest.raises(EtagMismatch, match=r"^possible etag mismatch\. error from state store: item already") as no:
        await state.set(new_id, 2, new=True)
    assert (no.value.positions, no.value.several) == ([0], False)
    with pytest.raises(EtagMismatch, match="expect=x"):
        await state.delete(new_id, etag="x")
    assert await state.get(new_id) == 1


async def test_changes_are_made_together_or_not_at_all(state: StateClient, new_id: str) -> None:
    one, two = f"{new_id}-1", f"{new_id}-2"
    await state.transaction([])
    await state.transaction([SetValue(one, 1), SetValue(two, 2, ttl=timedelta.max)])
    with pytest.raises(EtagMismatch, match="expect=x"):
        await state.transaction([SetValue(one, 10), DeleteValue(two, etag="x")])
    assert (await state.get(one), await state.get(two)) == (1, 2)
    await state.transaction([DeleteValue(one), SetValue(two, 20)])
    assert (await state.get(one), await state.get(two)) == (None, 20)


async def test_any_text_is_a_key_but_none_and_what_daprs_prefix_is_made_of(state: StateClient, new_id: str) -> None:
    for key in HARD_KEYS:
        await state.set(f"{key}{new_id}", key)
        await state.set(f"{new_id}{key}", key)
    await state.set("..", "up")
    for key in HARD_KEYS:
        assert (await state.get(f"{key}{new_id}"), await state.get(f"{new_id}{key}")) == (key, key)
    assert await state.get("..") == "up"
    for call in (state.get("a||b"), state.set("a||b", 1), state.delete("a||b")):
        with pytest.raises(StateKeyInvalid, match="can't contain") as invalid:
            await call
        assert (invalid.value.store, invalid.value.key) == (S, "a||b")
    for empty in (state.get(""), state.set("", 1), state.transaction([DeleteValue("")])):
        with pytest.raises(InvalidRequest, match="one character at least"):
            await empty


async def test_a_store_that_is_not_there_is_refused(client: ManagementClient) -> None:
    with pytest.raises(StateStoreNotFound, match="cart is not found; there is statestore") as missing:
        await client.state("cart").set("k", 1)
    assert missing.value.store == "cart"
    with pytest.raises(StateStoreNotFound, match="there is statestore"):
        await client.state("cart").get("k")


async def test_the_values_are_those_of_daprs_state_api(daemon: Daemon, new_id: str) -> None:
    # Given bytes that are no JSON, which another SDK has saved,
    headers = {"dapr-api-token": TOKEN}
    async with httpx.AsyncClient(base_url=daemon.url, headers=headers) as dapr:
        await dapr.post(f"/v1.0/state/{S}", json=[{"key": new_id, "value": {"quantity": 10}}])
        async with perdure.connect(daemon.url, token=TOKEN) as client:
            found = await client.state(S).look(new_id)
            assert found is not None
            assert (found.value, found.etag) == (
                {"quantity": 10},
                (await dapr.get(f"/v1.0/state/{S}/{new_id}")).headers["etag"],
            )
            await client.state(S).set(new_id, {"quantity": 9}, etag=found.etag)
        assert (await dapr.get(f"/v1.0/state/{S}/{new_id}")).content == b'{"quantity":9}'


def test_what_the_server_says_is_the_error_of_an_engine() -> None:
    with pytest.raises(StateUnavailable, match="an older release"), told_of(S, "k"):
        raise ServerRefused(503, "ERR_STATE_UNAVAILABLE", "a host of an older release")
    with pytest.raises(EtagMismatch) as several, told_of(S, ""):
        raise ServerRefused(409, "ERR_ETAG_MISMATCH", "possible etag mismatch. error from state store: of b")
    assert (several.value.positions, str(several.value)) == (
        [],
        "possible etag mismatch. error from state store: of b",
    )
    with pytest.raises(ServerRefused, match="other"), told_of(S, "k"):
        raise ServerRefused(500, "ERR_OTHER", "other")
