"""The address of a host is read, or refused with the expected form."""

import pytest

from perdure.actors.peer_address import PeerAddress, read_peer_address
from perdure.runtime.settings import Settings


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("10.0.0.7", PeerAddress("10.0.0.7", 0)),
        ("10.0.0.7:7070", PeerAddress("10.0.0.7", 7070)),
        ("10.0.0.7:0", PeerAddress("10.0.0.7", 0)),
        ("127.0.0.1:7070", PeerAddress("127.0.0.1", 7070)),
        ("fd00::7", PeerAddress("fd00::7", 0)),
        ("[fd00::7]", PeerAddress("fd00::7", 0)),
        ("[fd00::7]:7070", PeerAddress("fd00::7", 7070)),
        ("orders-1", PeerAddress("orders-1", 0)),
        ("orders_1.local:65535", PeerAddress("orders_1.local", 65_535)),
    ],
)
def test_an_address_is_read_and_written_again(text: str, read: PeerAddress) -> None:
    assert read_peer_address(text) == read
    assert read_peer_address(str(read)) == read
    assert Settings(peer_address=text).peer_address == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not an address"),
        (":7070", "not an address"),
        ("10.0.0.7:", "not an address"),
        ("10.0.0.7:x", "not an address"),
        ("10.0.0.7:-1", "not an address"),
        ("10.0.0.7:65536", "the last port there is is 65535"),
        ("10.0.0.300", "not an address"),
        ("127.1", "not an address"),
        ("a b", "not an address"),
        ("-a", "not an address"),
        ("a..b", "not an address"),
        ("a" * 254, "not an address"),
        ("10.0.0.7,10.0.0.8", "not an address"),
        ("[10.0.0.7]:7070", "not an IPv6 address"),
        ("[fd00::7", "not an address"),
        ("fd00::7:zz", "not an address"),
        ("https://10.0.0.7", "is a URL"),
        ("0.0.0.0", "every address"),  # noqa: S104  it is refused
        ("[::]:7070", "every address"),
        ("10.0.0.7\n", "not an address"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_peer_address(text)
    with pytest.raises(ValueError, match=f"peer_address: .*{why}"):
        Settings(peer_address=text)
