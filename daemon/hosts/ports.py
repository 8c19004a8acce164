"""The ports of a daemon of several hosts, taken by their supervisor.

The rule: the supervisor binds both ports before it starts a host, and never listens on them. So they stay the
daemon's while a host is away, and a second daemon is refused at once. Each host listens with a socket of its own.
"""

from contextlib import ExitStack, closing
from dataclasses import replace

from ...api.ports import Door
from ...http.serving.listener import address, listen, reserve
from ..config import Config


def take_ports(config: Config, held: ExitStack) -> Config:
    """Reserve the ports of a daemon for its hosts, and see that the ports for their metrics are free.

    Args:
        held: Keeps the sockets that hold the ports.

    Returns:
        The configuration, with the free ports that were taken in place of 0.

    Raises:
        CannotListen: A port cannot be taken.
    """

    def take(port: int, door: Door) -> int:
        reserved = held.enter_context(closing(reserve(config.host, port, door)))
        return address(reserved)[1]

    http_port, grpc_port = take(config.http_port, Door.HTTP), take(config.grpc_port, Door.GRPC)
    others = tuple(replace(each, grpc_port=take(each.grpc_port, Door.GRPC)) for each in config.others)
    if config.metrics_port:
        for index in range(config.processes):
            listen(config.host, config.metrics_port + index, Door.METRICS).close()
    return replace(config, http_port=http_port, grpc_port=grpc_port, others=others)
