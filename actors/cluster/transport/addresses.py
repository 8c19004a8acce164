"""Addresses: by which address of this machine other hosts reach it, if nobody says.

The rule: it is the address from which this machine reaches the database, because all hosts reach the database. Hosts
that reach it by a loopback address are on its machine; as long as all are, they reach each other by it too.

The engine asks for it before it joins (`runtime/engine.py`).
"""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from ...errors import PeerAddressNeeded
from .endpoint import split_address

LOOPBACK = "127.0.0.1"


async def address_towards(host: str, port: int) -> str:
    """The address of this machine from which it reaches another one.

    Args:
        host: A name or an address; a path is a socket of this machine, to which it needs none.

    Returns:
        A loopback address if the other machine is this one.

    Raises:
        OSError: There is no way to it.
    """
    if not host or host.startswith(("/", "@")):
        return LOOPBACK
    loop = asyncio.get_running_loop()
    problem: OSError | None = None
    for family, kind, _, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
        try:
            with socket.socket(family, kind) as way:
                way.connect(address)  # sends nothing: it only looks for the way
                found: str = way.getsockname()[0]
                return found
        except OSError as error:
            problem = error
    raise problem or OSError(f"{host} has no address")


def is_loopback(address: str) -> bool:
    """Whether nobody but this machine reaches an address, "10.0.0.7:50123"."""
    try:
        host, _ = split_address(address)
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_reachable(address: str, place: str, others: Iterable[tuple[str, str]]) -> None:
    """Check that hosts can reach each other by the addresses that they have.

    Args:
        address: Of this host.
        place: Of this host, as `actors/store/cluster.py` has it.
        others: Address and place of the other hosts that live.

    Raises:
        PeerAddressNeeded: One of two hosts on different machines has a loopback address.
    """
    for other, elsewhere in others:
        if machine_in(place) != machine_in(elsewhere) and (is_loopback(address) or is_loopback(other)):
            raise PeerAddressNeeded(address, other=other)


def machine_in(place: str) -> str:
    """The part of a place that tells machines apart."""
    return place.partition("/")[0]
