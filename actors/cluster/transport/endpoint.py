"""Endpoints: the places at which hosts listen to other hosts.

The rule: an endpoint has the address of a host, and the name that the host there must have.

A membership lists endpoints (`actors/cluster/membership.py`), and a transport connects to them.
"""

from typing import NamedTuple, TypeAlias


class UnixEndpoint(NamedTuple):
    """A Unix-domain socket of this machine."""

    path: str


class TcpEndpoint(NamedTuple):
    """A TCP port. The host there must have a certificate for its name."""

    host_id: int  # the id under which it has joined its store; 64 bits, signed or unsigned
    address: str  # "10.0.0.7:50123", "[fd00::7]:50123"

    @property
    def name(self) -> str:
        """The name of the host, in the placement table, in its certificate and in logs."""
        return f"host-{self.host_id & ID_BITS:016x}"


ID_BITS = 2**64 - 1


class MemoryEndpoint(NamedTuple):
    """A host in the same event loop."""

    name: str


Endpoint: TypeAlias = UnixEndpoint | TcpEndpoint | MemoryEndpoint


def split_address(address: str) -> tuple[str, int]:
    """Split an address into its host and its port.

    Raises:
        ValueError: The address is malformed.
    """
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    number = int(port) if port.isascii() and port.isdecimal() else 0
    if not colon or not host or (":" in host) != bracketed or not 0 < number < 65536:
        raise ValueError(f"{address!r} is no address of a host: expected HOST:PORT, as in 10.0.0.7:50123")
    return host, number


def joined_address(host: str, port: int) -> str:
    """Make an address from a host and a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
