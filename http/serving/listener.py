"""Takes ports, shares ports among the hosts of a daemon, and reserves ports for them.

The rule: a daemon takes its ports before it opens anything else, so that a second daemon fails at once.
`daemon/daemon.py` takes ports, and `daemon/hosts/ports.py` keeps them for hosts.
"""

import socket

from ...api.ports import CannotListen, Door

BACKLOG = 2048  # uvicorn's default; the kernel caps it at net.core.somaxconn


def listen(host: str, port: int, door: Door = Door.HTTP) -> socket.socket:
    """Take a port, and listen on it.

    From then on the kernel queues the connections of callers, until `serve` accepts them.

    Args:
        host: An address of this machine, or a name; the first of several addresses is used.
        port: 0 for any free port; `address` returns it.
        door: The protocol that will be served there, for the error.

    Returns:
        A non-blocking socket.

    Raises:
        CannotListen: Another program uses the port, the port needs privileges, or the machine has no such address.
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

    The socket does not listen yet. `serve` lets it listen when this process is ready; until then the kernel gives
    connections to the other hosts.

    Args:
        host, port, door: As for `listen`.

    Raises:
        CannotListen: As for `listen`; here another program is one that does not share the port.
    """
    return _bound(host, port, door, socket.SO_REUSEPORT)


def reserve(host: str, port: int, door: Door = Door.HTTP) -> socket.socket:
    """Reserve a port for the hosts that `share` it, also while no host listens. This socket never listens.

    Args:
        host, port, door: As for `listen`.

    Raises:
        CannotListen: As for `listen`.
    """
    if port:
        # `share` alone would succeed if another daemon of several hosts has the port; each would get half of the
        # connections.
        listen(host, port, door).close()
    reserved = share(host, port, door)
    # `bind` needed SO_REUSEADDR. If it stayed set, another program that sets it too could take the port while no host
    # listens.
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
        # Without SO_REUSEADDR a restarted daemon could not take its port before the old connections have timed out.
        for option in (socket.SO_REUSEADDR, *options):
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise CannotListen(host, port, error, door) from error
    bound.setblocking(False)
    return bound


def address(listener: socket.socket) -> tuple[str, int]:
    """Return the host and the port to which a socket is bound."""
    host, port, *_ = listener.getsockname()
    return host, port
