"""The port of the metrics: taking it, and saying what to do when it cannot be had."""

import socket

from ..actors.errors import PerdureError
from ..api.ports import CannotListen, address_of
from ..http.serving.listener import listen


class MetricsPortTaken(PerdureError):
    """The metrics have no port."""

    def __init__(self, cause: CannotListen) -> None:
        super().__init__(cause)
        self.cause = cause

    def __str__(self) -> str:
        reason = self.cause.cause.strerror or str(self.cause.cause)
        return (
            f"cannot listen on {address_of(self.cause.host, self.cause.port)} for metrics: {reason}. "
            "Choose another port with --metrics-port (0 serves no metrics)."
        )


def listen_for_metrics(host: str, port: int) -> socket.socket:
    """Take the port of the metrics.

    Raises:
        MetricsPortTaken: It cannot be had.
    """
    try:
        return listen(host, port)
    except CannotListen as error:
        raise MetricsPortTaken(error) from error
