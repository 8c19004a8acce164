"""A host is reached by its address towards the database; a loopback address is enough only on one machine."""

import pytest

from perdure.actors.cluster.transport.addresses import address_towards, check_reachable, is_loopback
from perdure.actors.errors import PeerAddressNeeded

pytestmark = pytest.mark.anyio

HERE, THERE = "boot-1:4026531836/100/7", "boot-2:4026531836/100/7"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "/var/run/postgresql", "", "@abstract"])
async def test_a_database_on_this_machine_is_reached_from_a_loopback_address(host: str) -> None:
    assert is_loopback(f"[{await address_towards(host, 5432)}]:1".replace("[127.0.0.1]", "127.0.0.1"))


async def test_a_database_that_has_no_address_is_an_error() -> None:
    with pytest.raises(OSError):  # noqa: PT011  the resolver has its own words
        await address_towards("no-such-host.invalid", 5432)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("10.0.0.1:1", False),
        ("db.example:1", False),
        ("[fd00::1]:1", False),
        ("nonsense", False),
    ],
)
def test_loopback_addresses_are_known(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


def test_hosts_of_one_machine_may_have_loopback_addresses() -> None:
    check_reachable("127.0.0.1:1", HERE, [("127.0.0.1:2", "boot-1:4026531836/200/9")])
    check_reachable("10.0.0.1:1", HERE, [("10.0.0.2:2", THERE)])
    check_reachable("127.0.0.1:1", HERE, [])


@pytest.mark.parametrize(("own", "other"), [("127.0.0.1:1", "10.0.0.2:2"), ("10.0.0.1:1", "127.0.0.1:2")])
def test_hosts_of_several_machines_may_not(own: str, other: str) -> None:
    with pytest.raises(PeerAddressNeeded, match="a loopback address is reached from its own machine only"):
        check_reachable(own, HERE, [(own, HERE), (other, THERE)])


def test_another_namespace_of_processes_is_another_machine() -> None:
    # Containers of one machine do not reach each other by loopback addresses.
    with pytest.raises(PeerAddressNeeded):
        check_reachable("127.0.0.1:1", HERE, [("127.0.0.1:2", "boot-1:4026532000/1/5")])
