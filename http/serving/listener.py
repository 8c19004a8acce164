"""Ports: taking one, and saying what to do when it cannot be had.

The one law: whoever has a port has it before anything else is opened, so that
a second daemon finds out at once.
"""

import socket

from ...api.ports import RUN_FLAGS, CannotListen, ListenFlags

BACKLOG = 2048  # uvicorn's default; the kernel caps it at net.core.somaxconn


def listen(host: str, port: int, flags: ListenFlags = RUN_FLAGS) -> socket.socket:
    """Take a port.

    Callers that come from now on wait in the kernel's queue until `serve` runs.
    Taking the port this early keeps a second daemon from opening the store only
    to find the port gone.

    Args:
        host: An address of this machine, or a name of one; of several addresses the first is taken.
        port: 0 for any free one; `address` tells which.
        flags: What an error tells to use.

    Raises:
        CannotListen: Somebody has it, or nobody may.
    """
    listener = _bound(host, port, flags)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(host, port, error, flags) from error
    return listener


def share(host: str, port: int, flags: ListenFlags = RUN_FLAGS) -> socket.socket:
    """Take part in a port that other processes of this daemon listen on too; the kernel spreads the callers.

    It does not listen yet: `serve` does, so that nobody waits for a process
    that is not ready while others are.

    Args:
        host, port, flags: As for `listen`.

    Raises:
        CannotListen: Somebody else has it, or nobody may.
    """
    return _bound(host, port, flags, socket.SO_REUSEPORT)


def reserve(host: str, port: int, flags: ListenFlags = RUN_FLAGS) -> socket.socket:
    """Keep a port for those who `share` it, also while none of them listens. This socket never does.

    Args:
        host, port, flags: As for `listen`.

    Raises:
        CannotListen: Somebody has it, or nobody may.
    """
    if port:
        # Another daemon of several hosts would not mind a socket more, and they would get half of the calls each.
        listen(host, port, flags).close()
    reserved = share(host, port, flags)
    # Were it set on both sides, others could take the port while nobody listens. It had to be set for `bind`.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return reserved


def _bound(host: str, port: int, flags: ListenFlags, *options: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(host, port, error, flags) from error
    try:
        # Without SO_REUSEADDR a restart would wait for the connections of the process before it to time out.
        for option in (socket.SO_REUSEADDR, *options):
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise CannotListen(host, port, error, flags) from error
    bound.setblocking(False)
    return bound


def address(listener: socket.socket) -> tuple[str, int]:
    """Say which host and port a listener has."""
    host, port, *_ = listener.getsockname()
    return host, port
