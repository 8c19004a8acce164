"""Addresses that a door listens on, and what to say when one cannot be had."""

import errno
from typing import NamedTuple

from ..actors.errors import PerdureError


class ListenFlags(NamedTuple):
    """What the flags are called that choose an address."""

    host: str
    port: str


RUN_FLAGS = ListenFlags("--host", "--http-port")  # of `perdure run`


class CannotListen(PerdureError):
    """The address cannot be had."""

    def __init__(self, host: str, port: int, cause: OSError, flags: ListenFlags = RUN_FLAGS) -> None:
        super().__init__(host, port, cause, flags)
        self.host = host
        self.port = port
        self.cause = cause
        self.flags = flags

    def __str__(self) -> str:
        where = f"cannot listen on {address_of(self.host, self.port)}"
        if self.cause.errno == errno.EADDRINUSE:
            return (
                f"{where}: another program has port {self.port}, perhaps a Dapr sidecar or another Perdure. "
                f"Stop it, or choose another port with {self.flags.port} (0 takes any free one)."
            )
        if self.cause.errno == errno.EACCES:
            return f"{where}: ports below 1024 need privileges. Choose another one with {self.flags.port}."
        reason = self.cause.strerror or str(self.cause)
        return f"{where}: {reason}. Choose an address of this machine with {self.flags.host}."


def address_of(host: str, port: int) -> str:
    """Write an address as URLs do."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
