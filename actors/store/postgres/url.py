"""The address of a store on PostgreSQL: `postgresql://user@host/database`, and its parameters for the store itself.

The rule: a password is never shown. Logs, errors and the configuration use `shown`.

The driver also reads the sources of PostgreSQL's own programs: `PGPASSWORD`, `~/.pgpass`, `PGSSLMODE` and the like.
`actors/store/postgres/store.py` and the command line take stores by such addresses.
"""

import configparser
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from ...plain_file import misfit
from ..errors import StoreFailed

SCHEMES = ("postgresql://", "postgres://")
SCHEMA = "perdure"
PORT = 5432
PORT_MAX = 65_535
# The parameters that name a file, and the environment variables that replace them.
FILES: Mapping[str, str] = {
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "servicefile": "PGSERVICEFILE",
}
# Words of PostgreSQL's own programs of which a store has values of its own.
OURS = frozenset(
    {
        "application_name",
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "sslcompression",
        "target_session_attrs",
        "tcp_user_timeout",
    }
)
# Words of theirs that the driver does not know -> the values that change nothing. It would send them to the server as
# settings, which refuses them.
UNKNOWN: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "require_auth": (),
    "requirepeer": (),
    "sslcertmode": ("allow",),
    "sslkeylogfile": (),
    "sslsni": ("1",),
}
# A plain name: the statements of a store use `search_path`, which takes such names without quotes.
SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The address of a store."""

    dsn: str  # for the driver
    shown: str  # without the password
    schema: str = SCHEMA  # the schema of the tables
    prepare: bool = True  # whether statements stay prepared; False behind a pooler in transaction mode

    @property
    def name(self) -> str:
        """The name of the store in sentences."""
        return self.shown if self.schema == SCHEMA else f"{self.shown} (schema {self.schema})"


def is_url(data: object) -> bool:
    """Whether a path of a store is the address of a database."""
    return isinstance(data, str) and data.startswith(SCHEMES)


def without_password(data: str) -> str:
    """Any path of a store, in a form that may be shown."""
    if not is_url(data):
        return data
    try:
        split = urlsplit(data)
    except ValueError:
        return f"{data.partition('//')[0]}//..."  # the place of a password is unknown
    user, at, host = split.netloc.rpartition("@")
    query = [(name, value) for name, value in parse_qsl(split.query) if name != "password"]
    return _joined(split._replace(netloc=f"{user.partition(':')[0]}{at}{host}"), query)


def _joined(split: SplitResult, query: Sequence[tuple[str, str]]) -> str:
    """Put an address together, with // also where no server stands behind it."""
    # The driver takes a path of / for a database without a name.
    split = split._replace(path="") if split.path == "/" else split
    text = urlunsplit(split._replace(query=urlencode(query, quote_via=quote)))
    return text if split.netloc else text.replace(":", "://", 1)


def parse_url(data: str) -> DatabaseUrl:
    """Read an address.

    Raises:
        StoreFailed: It cannot be the address of a store; the message has the reason.
    """
    split = _split(data)
    own: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    for name, value in parse_qsl(split.query, keep_blank_values=True):
        if name in ("schema", "prepare"):
            own[name] = value
        elif name not in OURS and value not in UNKNOWN.get(name, ()):
            rest.append((name, value))
    schema = own.get("schema", SCHEMA)
    shown = without_password(_joined(split, rest))
    for name, value in rest:
        if name in UNKNOWN:
            raise StoreFailed(f"{shown}: the driver cannot do {name}={value}. Leave it out of the address.")
    if not SCHEMA_NAME.fullmatch(schema) or schema.startswith(("pg_", "information_schema")):
        raise StoreFailed(
            f"{shown} has schema={schema!r}, which must be a plain name: small letters, digits and _, not pg_..."
        )
    if own.get("prepare", "on") not in ("on", "off"):
        raise StoreFailed(f"{shown} has prepare={own['prepare']!r}, which must be on or off")
    for name, file in files_of(rest):
        if (why := misfit(file)) is not None:
            raise StoreFailed(f"{shown}: {name}={file} cannot be used: {why}")
    dsn = _joined(split, [*_without_service(rest), *_of_service(split, dict(rest), shown)])
    try:
        addresses_of(dsn, os.environ)
    except ValueError as error:
        raise StoreFailed(f"{shown} names no server: {error}") from None
    return DatabaseUrl(dsn, shown, schema, prepare=own.get("prepare", "on") == "on")


def _split(data: str) -> SplitResult:
    """Split an address.

    Raises:
        StoreFailed: It is malformed.
    """
    try:
        return urlsplit(data)
    except ValueError:  # its text may contain the password
        raise StoreFailed(
            f"{without_password(data)} is no address: its server must be a name, an IP address, or one of IPv6 in [ ]"
        ) from None


def files_of(query: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The files that an address or the environment names. The driver reads them, and would wait for a pipe for ever."""
    given = dict(query)
    for name, variable in FILES.items():
        value = given.get(name) or os.environ.get(variable)
        if value and value != "system":  # libpq's word for the certificates of the system
            yield (name if name in given else variable), value


def _without_service(query: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in query if name not in ("service", "servicefile")]


def _of_service(split: SplitResult, query: Mapping[str, str], shown: str) -> list[tuple[str, str]]:
    """The parameters that a service has, and the address has not. The driver reads no `PGSERVICE`, and goes on to
    another server if there is no such service.

    Raises:
        StoreFailed: There is no such service.
    """
    name = query.get("service") or os.environ.get("PGSERVICE")
    if not name:
        return []
    file = query.get("servicefile") or os.environ.get("PGSERVICEFILE") or os.path.expanduser("~/.pg_service.conf")
    services = configparser.RawConfigParser(delimiters=("=",), strict=False)
    try:
        services.read(file, encoding="utf-8")
        found = dict(services.items(name))
    except (configparser.Error, UnicodeDecodeError):
        raise StoreFailed(f"{shown}: there is no service {name!r} in {file}") from None
    user, _, server = split.netloc.rpartition("@")
    given = {*query, *(["user"] if user else []), *(["host", "port"] if server else [])}
    given |= {"password"} if ":" in user else set()
    given |= {"dbname", "database"} if split.path.strip("/") else set()
    return [each for each in found.items() if each[0] not in given]


def addresses_of(dsn: str, environment: Mapping[str, str]) -> Sequence[tuple[str, int]]:
    """Hosts and ports in the address of a database, as PostgreSQL's own programs read them.

    Args:
        dsn: `postgresql://user@one:5432,two/database`; a host may be a path.
        environment: `PGHOST` and `PGPORT` are used if the address has no host or port.

    Raises:
        ValueError: A port is malformed; the message has it.
    """
    split = urlsplit(dsn)
    query = dict(parse_qsl(split.query))
    servers = split.netloc.rpartition("@")[2] or query.get("host", "") or environment.get("PGHOST", "")
    ports = (query.get("port") or environment.get("PGPORT", "")).split(",")
    found = []
    for number, server in enumerate(servers.split(",")):
        host, port = unquote(server), ""
        if server.startswith("["):
            host, _, port = server[1:].partition("]")
            port = port.removeprefix(":")
        elif server.count(":") == 1:
            host, _, port = server.partition(":")
            host = unquote(host)
        port = port or ports[min(number, len(ports) - 1)]
        found.append((host, _port(port)))
    return found


def _port(text: str) -> int:
    """Read a port; an empty text means PostgreSQL's default, as for its own programs."""
    if not text:
        return PORT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= PORT_MAX:
        raise ValueError(f"{text!r} is no port, which is a whole number from 1 to {PORT_MAX}")
    return int(text)
