"""An address of a host is read as it is written, and anything else is refused."""

import pytest

from perdure.actors.cluster.transport.endpoint import joined_address, split_address


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("10.0.0.7:50123", "10.0.0.7", 50123), ("[fd00::7]:1", "fd00::7", 1), ("db.example:65535", "db.example", 65535)],
)
def test_an_address_is_a_host_and_a_port(address: str, host: str, port: int) -> None:
    assert split_address(address) == (host, port)
    assert joined_address(host, port) == address


NONE = ["", "host", ":1", "host:", "host:0", "host:65536", "host:-1", "host:x", "fd00::1", "[host]:1"]


@pytest.mark.parametrize("address", NONE)
def test_anything_but_an_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        split_address(address)
