"""Contradictory values are refused, and named with their flags, before anything starts."""

import pytest

from perdure.cli.config import is_loopback

from ..support.cli.run_command import configure, refusal_of


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])  # noqa: S104
def test_an_address_that_others_can_reach_needs_a_token_or_a_clear_word(host: str) -> None:
    message = refusal_of("--host", host)
    assert host in message
    assert "PERDURE_API_TOKEN" in message
    assert "--allow-unauthenticated" in message
    assert configure("--host", host, "--api-token", "t").host == host
    assert configure("--host", host, "--allow-unauthenticated").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_an_address_of_this_machine_only_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert configure("--host", host).host == host


def test_one_port_cannot_serve_both_apis() -> None:
    message = refusal_of("--http-port", "4001", "--grpc-port", "4001")
    assert "--http-port" in message
    assert "--grpc-port" in message
    assert "4001" in message
    assert configure("--http-port", "0", "--grpc-port", "0").http_port == 0


def test_a_daemon_is_one_process_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configure().processes == 1
    assert configure("--processes", "64", target="shop.py").processes == 64
    monkeypatch.setenv("PERDURE_PROCESSES", "2")
    assert configure(target="shop.py").processes == 2


@pytest.mark.parametrize(
    ("flags", "target", "why"),
    [
        (("--data", ":memory:"), "shop.py", ":memory:"),
        (("--durability", "relaxed"), "shop.py", "--durability relaxed"),
        (("--metrics-port", "3498"), "shop.py", "ports 3498 to 3500, one each; --http-port 3500"),
        (("--metrics-port", "65534"), "shop.py", "ports 65534 to 65536, one each; the last port there is is 65535"),
    ],
)
def test_what_does_not_go_together_with_several_processes_is_named(
    flags: tuple[str, ...], target: str | None, why: str
) -> None:
    assert configure(*flags, target=target).processes == 1
    message = refusal_of("--processes", "3", *flags, target=target)
    assert "--processes 3" in message
    assert why in message


def test_a_system_whose_processes_cannot_share_a_port_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("socket.SO_REUSEPORT")
    assert configure(target="shop.py").processes == 1
    assert "on this system" in refusal_of("--processes", "2", target="shop.py")


def test_a_store_on_a_database_flushes_and_may_have_several_processes() -> None:
    url = "postgresql://me@h/orders"
    assert configure("--data", url).data == url
    assert configure("--data", url, "--processes", "2", target="shop.py").processes == 2
    assert "each commit is flushed" in refusal_of("--data", url, "--durability", "relaxed")
    assert configure("--data", url, "--store-patience", "5").store_patience_s == 5


def test_a_host_drains_for_a_while_when_it_leaves() -> None:
    assert configure().drain_s == 5
    assert configure("--drain", "0.5").drain_s == 0.5


def test_other_hosts_reach_one_at_its_address_where_there_can_be_others() -> None:
    url = "postgresql://me@h/orders"
    assert configure("--data", url).limits.peer_address is None
    assert configure("--data", url, "--peer-address", "[fd00::7]:7070").limits.peer_address == "[fd00::7]:7070"
    assert "such as 10.0.0.7" in refusal_of("--data", url, "--peer-address", "a b")
    assert "share a PostgreSQL database" in refusal_of("--peer-address", "10.0.0.7")
    # Several processes cannot have one port.
    several = ("--data", url, "--processes", "2")
    assert configure(*several, "--peer-address", "10.0.0.7", target="shop.py").limits.peer_address == "10.0.0.7"
    assert "each takes a free one" in refusal_of(*several, "--peer-address", "10.0.0.7:70", target="shop.py")
