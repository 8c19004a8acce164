"""Parses and checks the texts of flags and variables.

The rule: each function takes a text and returns its value, or raises ValueError with a sentence that says which texts
are allowed. The sentence begins with the text, unless the text is a secret. `cli/run_flags.py` and `cli/daprd_flags.py`
name the function for each flag.
"""

import re
from typing import Any

from ..actors.peer_address import read_peer_address
from ..actors.store.postgres.url import is_url, without_password
from ..api.management.moments import parse_length
from ..daemon.config import PROCESSES_MAX
from ..runtime.operations.retention.policy import Retention

PORT_MAX = 65_535


def parse_port(text: str) -> int:
    """Parse a port number; 0 means any free port.

    Raises:
        ValueError: It is no port.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > PORT_MAX:
        raise ValueError(f"{text!r} is not a port: a whole number from 0 to {PORT_MAX}, where 0 picks a free one.")
    return int(text)


def parse_count(text: str) -> int:
    """Parse a limit that is at least 1.

    Raises:
        ValueError: It is no such number.
    """
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise ValueError(f"{text!r} is not a whole number from 1 up.")
    return int(text)


def parse_processes(text: str) -> int:
    """Parse the number of processes of a daemon.

    Raises:
        ValueError: It is no whole number from 1 to `PROCESSES_MAX`.
    """
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= PROCESSES_MAX:
        raise ValueError(f"{text!r} is not a whole number from 1 to {PROCESSES_MAX}.")
    return int(text)


def parse_count_or_zero(text: str) -> int:
    """Parse a limit that may be 0.

    Raises:
        ValueError: It is no such number.
    """
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{text!r} is not a whole number from 0 up.")
    return int(text)


def parse_seconds(text: str) -> float:
    """Parse a time in seconds that is neither negative nor infinite.

    Raises:
        ValueError: It is no such number.
    """
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        raise ValueError(f"{text!r} is not a number of seconds, such as 10 or 2.5.")
    return float(text)


# The words of --retention, and the field of each.
KEPT = {
    "completed": "completed_us",
    "failed": "failed_us",
    "terminated": "terminated_us",
    "any": "any_terminal_us",
    "audit": "audit_us",
}


def parse_retention(text: str) -> Retention:
    """Parse how long finished instances and the audit are kept.

    Raises:
        ValueError: It has another form, or a kind twice.
    """
    kept: dict[str, int] = {}
    for part in text.split(","):
        word, equals, length = part.strip().partition("=")
        if not equals or word not in KEPT:
            raise ValueError(
                f"{text!r} is not made of {', '.join(f'{word}=TIME' for word in KEPT)}, as in completed=30m,failed=7d."
            )
        if KEPT[word] in kept:
            raise ValueError(f"{text!r} has {word} twice; each has one time.")
        try:
            kept[KEPT[word]] = parse_length(length)
        except ValueError as error:
            raise ValueError(f"{text!r} has no time for {word}: {error}.") from None
    return Retention(**kept)


BYTES_PER = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}  # as daprd reads them


def parse_size(text: str) -> int:
    """Parse a number of bytes, plain or with a unit.

    Raises:
        ValueError: It is no number of bytes above 0.
    """
    match = re.fullmatch(r"([0-9]{1,18})([kMG]|[KMG]i)?", text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is not a size above 0, in bytes or as in 512Ki, 4Mi, 1Gi.")
    return int(match[1]) * BYTES_PER[match[2] or ""]


def parse_tokens(text: str) -> tuple[str, ...]:
    """Parse a token, or several separated by commas, for the time in which a token is replaced.

    Raises:
        ValueError: A token is empty.
    """
    tokens = tuple(token.strip() for token in text.split(","))
    if not all(tokens):
        # Usually a script uses an unset variable. Without a token the API would be open, which was not intended. The
        # error must not show the other tokens.
        raise ValueError("a token in it is empty. To serve without a token, leave it out altogether.")
    return tokens


def parse_path(text: str) -> str:
    """Parse the path of a store, or the address of its database.

    Raises:
        ValueError: It is neither.
    """
    if not text or ("://" in text and not is_url(text)):
        raise ValueError(
            f"{without_password(text)!r} is neither the path of a file, such as ./perdure.db, nor the address of a "
            "PostgreSQL database, such as postgresql://user@host/database."
        )
    return text


def parse_host(text: str) -> str:
    """Parse an address or a host name.

    Raises:
        ValueError: It is neither.
    """
    if not re.fullmatch(r"[0-9A-Za-z.:_%-]+", text):
        raise ValueError(f"{text!r} is not an address or a host name, such as 127.0.0.1 or localhost.")
    return text


def parse_peer_address(text: str) -> str:
    """Parse the address at which other hosts reach this one."""
    return str(read_peer_address(text))


def parse_host_names(text: str) -> tuple[str, ...]:
    """Parse names of this daemon, separated by commas; may be empty.

    Raises:
        ValueError: A name has another form.
    """
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    for name in names:
        if name != "*" and not re.fullmatch(r"\.?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?", name):
            raise ValueError(
                f"{name!r} is not a host name without a port, such as orders.example.com, .example.com (all names "
                "there) or * (any name)."
            )
    return names


def parse_app_id(text: str) -> str:
    """Parse an app id, which has the characters that Dapr allows.

    Raises:
        ValueError: It has other characters.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise ValueError(f"{text!r} is not an app id: letters, digits, dashes and underscores only.")
    return text


NANOSECONDS_PER = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
A_PART = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>ns|us|µs|μs|ms|s|m|h)")
DURATION_US_MAX = (2**63 - 1) // 1000  # Go counts nanoseconds in 64 bits


def read_duration(value: Any) -> int:
    """Parse a duration in Go's form, such as 72h or 1h30m. Returns microseconds, rounded up.

    Source: Go, `time.ParseDuration`. A bare number is no duration, except "0".

    Raises:
        ValueError: It is no duration, or longer than `DURATION_US_MAX`.
    """
    wrong = f"{value!r:.80} is not a duration such as 72h, 1h30m or 0s."
    if not isinstance(value, str):
        raise ValueError(wrong)
    text = value.removeprefix("+")
    if text == "0":
        return 0
    nanoseconds, position = 0, 0
    while position < len(text):
        part = A_PART.match(text, position)
        if part is None or not (part["whole"] or part["fraction"]):
            raise ValueError(wrong)
        unit, fraction = NANOSECONDS_PER[part["unit"]], part["fraction"] or ""
        nanoseconds += int(part["whole"] or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        position = part.end()
    microseconds = -(-nanoseconds // 1000)
    if not text or microseconds > DURATION_US_MAX:
        raise ValueError(wrong)
    return microseconds
