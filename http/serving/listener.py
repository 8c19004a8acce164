"""Ports: taking one, sharing one among the hosts of a daemon, keeping one for them.

The rule: a daemon takes its ports before it opens anything else, so that a second daemon fails at once.
`daemon/daemon.py` takes ports, and `daemon/hosts/ports.py` keeps them for hosts.
"""

import socket

from ...api.ports import CannotListen, Door

BACKLOG = 2048  # uvicorn's default; the kernel caps it at net.core.somaxconn


def listen(host: str, port: int, door: Door = Door.HTTP) -> socket.socket:
    """Take a port, and listen on it.

    From now on the kernel queues the connections of callers, until `serve` accepts them.

    Args:
        host: An address of this machine, or a name of one; of several addresses the first is taken.
        port: 0 for any free one; `address` tells which.
        door: The protocol that will be served there, for the error.

    Returns:
        A socket that does not block.

    Raises:
        CannotListen: Another program has the port, the port needs privileges, or the machine has no such address.
    """
    listener = _bound(host, port, door)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(host, port, error, door) from error
    return listener


def share(host: str, port: int, door: Door = Door.HTTP) -> socket.socket:
    """Take a port together with other hosts of this daemon; the kernel spreads the connections.

    The socket does not listen yet. `serve` makes it, once this process is ready; until then the kernel gives
    connections to the other hosts.

    Args:
        host, port, door: As for `listen`.

    Raises:
        CannotListen: As for `listen`; another program is one that does not share the port.
    """
    return _bound(host, port, door, socket.SO_REUSEPORT)


def reserve(host: str, port: int, door: Door = Door.HTTP) -> socket.socket:
    """Keep a port for the hosts that `share` it, also while none of them listens. This socket never listens.

    Args:
        host, port, door: As for `listen`.

    Raises:
        CannotListen: As for `listen`.
    """
    if port:
        # `share` alone would not fail if another daemon of several hosts had the port; each would get half of the
        # connections.
        listen(host, port, door).close()
    reserved = share(host, port, door)
    # `bind` needed SO_REUSEADDR. If it stayed set here, another program that sets it too could take the port while
    # no host listens.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return reserved


def _bound(host: str, port: int, door: Door, *options: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(host, port, error, door) from error
    try:
        # Without SO_REUSEADDR a restarted daemon could not have its port until the old connections have timed out.
        for option in (socket.SO_REUSEADDR, *options):
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise CannotListen(host, port, error, door) from error
    bound.setblocking(False)
    return bound


def address(listener: socket.socket) -> tuple[str, int]:
    """The host and the port that a socket is bound to."""
    host, port, *_ = listener.getsockname()
    return host, port
