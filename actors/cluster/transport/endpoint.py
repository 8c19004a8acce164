"""Endpoints: where a host listens to the others.

The rule: an endpoint says how to get there, and whom a caller means to find.

A membership gives them (`actors/cluster/membership.py`), and a transport connects to them.
"""

from typing import NamedTuple, TypeAlias


class UnixEndpoint(NamedTuple):
    """A Unix-domain socket of this machine."""

    path: str


class TcpEndpoint(NamedTuple):
    """A TCP port. The host there must have a certificate for the id."""

    host_id: int
    address: str  # "10.0.0.7:50123", "[fd00::7]:50123"


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
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is no address of a host: expected HOST:PORT, as in 10.0.0.7:50123")
    return host, int(port)


def joined_address(host: str, port: int) -> str:
    """Make an address of a host and a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
