"""The addresses on which servers listen, and the error for an address that cannot be taken.

The rule: the error names no flag, because an embedded engine has no flags. `daemon/hints.py` adds the flag for a
command line.
"""

import errno
from enum import StrEnum

from ..actors.errors import PerdureError


class Door(StrEnum):
    """A protocol that a port serves."""

    HTTP = "HTTP"
    GRPC = "gRPC"
    METRICS = "metrics"


class CannotListen(PerdureError):
    """An address cannot be taken.

    Attributes:
        host: The requested host.
        port: The requested port; 0 means any free port.
        cause: An OSError, whose errno is the reason; or an error of the gRPC library, which gives no reason.
        door: The protocol that was to be served.
    """

    def __init__(self, host: str, port: int, cause: Exception, door: Door) -> None:
        super().__init__(host, port, cause, door)
        self.host = host
        self.port = port
        self.cause = cause
        self.door = door

    def __str__(self) -> str:
        where = f"cannot listen on {address_of(self.host, self.port)}"
        if not isinstance(self.cause, OSError):
            return (
                f"{where} for {self.door}: another program may have the port, perhaps a Dapr sidecar or another "
                "Perdure."
            )
        reason = self.cause.strerror or str(self.cause)
        if self.door is Door.METRICS:
            return f"{where} for metrics: {reason}."
        if self.cause.errno == errno.EADDRINUSE:
            return f"{where}: another program has port {self.port}, perhaps a Dapr sidecar or another Perdure."
        if self.cause.errno == errno.EACCES:
            return f"{where}: ports below 1024 need privileges."
        return f"{where}: {reason}."


def address_of(host: str, port: int) -> str:
    """Format an address as in URLs: `127.0.0.1:3500`, `[::1]:3500`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
