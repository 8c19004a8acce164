"""The port of the metrics, which is taken only if there are to be any."""

import socket

from ...api.ports import Door
from ...http.serving.listener import listen


def listen_for_metrics(host: str, port: int) -> socket.socket:
    """Take the port of the metrics, and listen on it.

    Raises:
        CannotListen: It cannot be taken.
    """
    return listen(host, port, Door.METRICS)
