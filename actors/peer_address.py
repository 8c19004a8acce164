"""The address at which a host is reached by the others, as a person writes it: `10.0.0.7`, `orders-1.local:7070`.

The rule: an address is checked when it is configured, not when the first other host fails to connect. Without a port
the host takes any free port.

`runtime/settings.py` checks it for an embedded engine, `cli/parsing.py` for a command line.
"""

import ipaddress
import re
from typing import NamedTuple

PORT_MAX = 65_535
NAME = re.compile(
    r"(?=.{1,253}\Z)[0-9A-Za-z_]([0-9A-Za-z_-]*[0-9A-Za-z_])?(\.[0-9A-Za-z_]([0-9A-Za-z_-]*[0-9A-Za-z_])?)*"
)
WRITTEN = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
EXAMPLES = "10.0.0.7, 10.0.0.7:7070, [fd00::7]:7070 or orders-1.local"


class PeerAddress(NamedTuple):
    """Where other hosts reach a host."""

    host: str  # an address (IPv6: without brackets) or a name
    port: int  # 0: any free port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def read_peer_address(text: str) -> PeerAddress:
    """Read an address.

    Raises:
        ValueError: It is malformed, or no host can be reached at it; the message gives examples of addresses.
    """
    if "://" in text:
        raise ValueError(f"{text!r} is a URL; the address of a host has no scheme, such as {EXAMPLES}.")
    if _is_six(text):
        text = f"[{text}]"  # IPv6 without brackets; it has no port
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an address of a host, such as {EXAMPLES}.")
    host, port = found["six"] or found["host"], int(found["port"] or 0)
    if port > PORT_MAX:
        raise ValueError(f"{text!r}: the last port there is is {PORT_MAX}.")
    if found["six"] is not None and not _is_six(host):
        raise ValueError(f"{text!r}: the text in brackets is not an IPv6 address.")
    if found["host"] is not None and not (_is_four(host) or (NAME.fullmatch(host) and not _only_digits(host))):
        raise ValueError(f"{text!r} is not an address of a host, such as {EXAMPLES}.")
    if _is_any(host):
        raise ValueError(f"{text!r} is every address of this machine; say the one at which others reach it.")
    return PeerAddress(host, port)


def _is_six(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_four(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _only_digits(host: str) -> bool:
    """Whether resolvers take a name for an address: 10.0.0.300, 127.1."""
    return host.replace(".", "").isdigit()


def _is_any(host: str) -> bool:
    return (_is_four(host) or _is_six(host)) and ipaddress.ip_address(host).is_unspecified
