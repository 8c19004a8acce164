"""A supervisor takes the ports of all its hosts, or names the port that it cannot have, before it starts a host."""

import re
import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest

from perdure.api.ports import CannotListen
from perdure.daemon.hints import explain
from perdure.daemon.hosts.ports import take_ports
from perdure.http.serving.listener import listen

from ...support.processes.host_config import host_config

CONFIG = host_config("shop.py")


@pytest.mark.parametrize("name", ["http_port", "grpc_port", "metrics_port"])
def test_a_port_that_is_in_use_is_named_with_its_flag(name: str) -> None:
    with listen("127.0.0.1", 0) as taken, ExitStack() as held:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f":{port}") as raised:
            take_ports(replace(CONFIG, **{name: port}), held)
    assert re.search(f":{port}.* --{name.replace('_', '-')}", explain(raised.value, CONFIG.flags))


def test_the_ports_of_all_metrics_are_tried() -> None:
    # Given a port that is free, and the next one, which is in use,
    with ExitStack() as held:
        taken = held.enter_context(listen("127.0.0.1", 0))
        while not is_free(before := taken.getsockname()[1] - 1):
            taken = held.enter_context(listen("127.0.0.1", 0))
        # when two hosts are to have them, then the error comes before a host is started.
        with pytest.raises(CannotListen, match=f":{before + 1} for metrics"):
            take_ports(replace(CONFIG, metrics_port=before), held)


def is_free(port: int) -> bool:
    try:
        listen("127.0.0.1", port).close()
    except CannotListen:
        return False
    return True


def test_free_ports_are_settled_before_the_hosts_start() -> None:
    with ExitStack() as held:
        config = take_ports(CONFIG, held)
        assert 0 not in (config.http_port, config.grpc_port)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", config.http_port))
