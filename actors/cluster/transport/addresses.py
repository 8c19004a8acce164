"""Addresses: the address at which other hosts reach this machine, if none is configured.

The rule: it is the address from which this machine reaches the database, because all hosts reach the database. Hosts
that reach the database by a loopback address are on its machine; if all hosts are, they reach each other by it too.

The engine looks it up before it joins (`runtime/engine.py`).
"""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from ...errors import PeerAddressNeeded
from .endpoint import split_address

LOOPBACK = "127.0.0.1"


async def address_towards(host: str, port: int) -> str:
    """The address from which this machine reaches another one.

    Args:
        host: A name or an address; a path means a socket of this machine, which needs no address.

    Returns:
        A loopback address if the other machine is this one.

    Raises:
        OSError: There is no route to it.
    """
    if not host or host.startswith(("/", "@")):
        return LOOPBACK
    loop = asyncio.get_running_loop()
    problem: OSError | None = None
    for family, kind, _, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
        try:
            with socket.socket(family, kind) as way:
                way.connect(address)  # sends nothing: it only looks up the route
                found: str = way.getsockname()[0]
                return found
        except OSError as error:
            problem = error
    raise problem or OSError(f"{host} has no address")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address such as "10.0.0.7:50123"."""
    try:
        host, _ = split_address(address)
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_reachable(address: str, place: str, others: Iterable[tuple[str, str]]) -> None:
    """Check that hosts can reach each other at their addresses.

    Args:
        address: The address of this host.
        place: The place of this host, as in `HostCard` (`actors/store/cluster.py`).
        others: Address and place of the other living hosts.

    Raises:
        PeerAddressNeeded: Two hosts are on different machines, and one of them has a loopback address.
    """
    for other, elsewhere in others:
        if machine_in(place) != machine_in(elsewhere) and (is_loopback(address) or is_loopback(other)):
            raise PeerAddressNeeded(address, other=other)


def machine_in(place: str) -> str:
    """The part of a place that identifies the machine."""
    return place.partition("/")[0]
