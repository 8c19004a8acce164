"""The blocking client keeps values in a state store, as the other client does."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

import perdure
from perdure.client.blocking import BlockingClient
from perdure.runtime.state.client import DeleteValue, SetValue
from perdure.runtime.state.errors import EtagMismatch

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN
from ..support.processes.shop_app import Receipt


@pytest.fixture
def client(daemon: Daemon) -> Iterator[BlockingClient]:
    with perdure.connect_sync(daemon.url, token=TOKEN) as client:
        yield client


def test_values_are_kept_in_a_state_store(client: BlockingClient, new_id: str) -> None:
    state = client.state("statestore")
    state.set(new_id, Receipt(1.5), ttl=timedelta(days=1))
    assert state.get(new_id, Receipt) == Receipt(1.5)
    found = state.look(new_id)
    assert found is not None
    with pytest.raises(EtagMismatch):
        state.delete(new_id, etag="none")
    state.transaction([DeleteValue(new_id, etag=found.etag), SetValue(f"{new_id}-2", 2)])
    assert (state.get(new_id), state.get(f"{new_id}-2")) == (None, 2)
    state.delete(f"{new_id}-2")
