"""The ports of a daemon of several hosts, taken by their supervisor.

The rule: the supervisor binds both ports before it starts a host, and never listens on them. So they stay the
daemon's while a host is away, and a second daemon is refused at once. Each host listens with a socket of its own.
"""

from contextlib import ExitStack, closing
from dataclasses import replace

from ...api.ports import CannotListen, ListenFlags
from ...http.serving.listener import address, listen, reserve
from ..config import Config


def take_ports(config: Config, held: ExitStack) -> Config:
    """Reserve the ports of a daemon, and settle which they are.

    Args:
        held: Gets what holds them.

    Raises:
        CannotListen, MetricsPortTaken: Somebody has one, or nobody may.
    """

    def take(name: str, port: int) -> int:
        flags = ListenFlags(config.flags["host"], config.flags[name])
        reserved = held.enter_context(closing(reserve(config.host, port, flags)))
        return address(reserved)[1]

    http_port, grpc_port = take("http_port", config.http_port), take("grpc_port", config.grpc_port)
    if config.metrics_port:
        for index in range(config.processes):
            try_metrics_port(config.host, config.metrics_port + index)
    return replace(config, http_port=http_port, grpc_port=grpc_port)


def try_metrics_port(host: str, port: int) -> None:
    try:
        listen(host, port).close()
    except CannotListen as error:
        from ..metrics_port import MetricsPortTaken  # noqa: PLC0415  imports servers

        raise MetricsPortTaken(error) from error
