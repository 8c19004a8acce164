"""Endpoints: where a host listens to the others.

The rule: an endpoint says how to get there, and whom a caller means to find.

A membership gives them (`actors/cluster/membership.py`), and a transport connects to them.
"""

from typing import NamedTuple, TypeAlias


class UnixEndpoint(NamedTuple):
    """A Unix-domain socket of this machine."""

    path: str


class TcpEndpoint(NamedTuple):
    """A TCP port. The host there must have a certificate for its name."""

    host_id: int  # under which it has joined its store; 64 bits, with a sign or without one
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
    """Part an address into its host and its port.

    Raises:
        ValueError: It is no address.
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
    """Make an address of a host and a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
