"""The ports of a daemon of several hosts, taken by their supervisor.

The rule: the supervisor binds both ports before it starts a host, and never listens on them. So the daemon keeps its
ports while a host is restarted, and a second daemon is refused at once. Each host listens with its own socket.
"""

from contextlib import ExitStack, closing
from dataclasses import replace

from ...api.ports import Door
from ...http.serving.listener import address, listen, reserve
from ..config import Config


def take_ports(config: Config, held: ExitStack) -> Config:
    """Reserve the ports of a daemon for its hosts, and check that the ports for their metrics are free.

    Args:
        held: Closes the sockets that reserve the ports.

    Returns:
        The configuration, in which the ports that were taken replace 0.

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
