"""State stores are hosted by the engine, and wait for hosts that do not know them."""

from perdure.actors.clock import SystemClock
from perdure.actors.store.cluster import FORMAT_OF_STATE
from perdure.actors.store.memory import MemoryStore
from perdure.journal.journal import Journal
from perdure.runtime.directory import AppAddresses
from perdure.runtime.settings import Settings
from perdure.runtime.state.service import StateService


class Shared(MemoryStore):
    """A store that several hosts share, in the format before the one with state stores."""

    format = FORMAT_OF_STATE - 1


def service(store: MemoryStore) -> StateService:
    return StateService(Settings(), store, SystemClock(), AppAddresses(), Journal())


def test_a_host_is_told_of_its_actors_and_of_its_route() -> None:
    assert [*service(MemoryStore()).types] == ["state"]
    assert [*service(MemoryStore()).routes] == ["state-expiry"]
    assert service(MemoryStore()).in_memory == 0


def test_a_store_that_hosts_share_is_written_once_all_of_them_know_state_stores() -> None:
    store = Shared()
    known = service(store)._all_hosts_know
    assert not known()
    store.format = FORMAT_OF_STATE
    assert known()
    assert service(MemoryStore())._all_hosts_know(), "a store of one host"
