"""The driver: sessions with a PostgreSQL server, by way of asyncpg.

The rule: a statement that does not return has one of two errors. `Refused`: the server has said no, and nothing of the
statement is there. `Lost`: nobody knows, and the session is of no more use. Whatever the driver raises that is not a
refusal is a loss, its own confusion after a cut connection too.

All other modules of `actors/store/postgres/` know `DatabaseDriver` and `DatabaseSession` only, so that a simulation can
put functions on dictionaries in the place of a server: a statement has a name beside its text for it.
docs/design/postgres.md says why asyncpg.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ..errors import StoreFailed
from .url import DatabaseUrl, addresses_of

Row: TypeAlias = Sequence[Any]

CONNECT_S = 3.0  # a server that does not answer a connection for so long is away
ADDRESS_S = 1.0  # the same for one of several, which are tried all at once
SILENT_MS = 5_000  # a network that acknowledges nothing for so long is cut
CHECKS_CLIENT = "client_connection_check_interval"  # a server on Windows cannot, and refuses the setting
STATEMENTS_CACHED = 256  # prepared in a session; the commit and the lists have many forms

# The SQLSTATEs at the end of a session. They do not say whether the statement under way has happened.
ENDED = frozenset({"57P01", "57P02", "57P04", "57P05", "25P03", "25P04", "25006"})
# A server that will take the same later: starting, full, or in conflict with another transaction; and a plan that a
# migration has made void.
PASSING = frozenset({"57P03", "53300", "40001", "40P01", "0A000", "55P03"})
# Of a pooler to which settings are given (pgbouncer's words). Its other errors have the same SQLSTATE, and may pass.
POOLER = ("08P01", "unsupported startup parameter")
INVALID = "22023"  # a value that a setting cannot have
# The server has finished without having done all that it should: it was told not to wait for its standby.
WARNING = "01000"


def pairs_of(rows: Sequence[Row]) -> dict[Any, Any]:
    """Rows of two columns, as a mapping."""
    return {name: value for name, value in rows}  # noqa: C416  rows are no tuples


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of SQL."""

    name: str
    sql: str
    parts: tuple[str, ...] = ()  # of a commit, in the order of their arguments


class Refused(Exception):
    """The server refused a statement, or a connection. Nothing of it has happened."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(state, message)
        self.state = state  # SQLSTATE
        self.message = message

    @property
    def passes(self) -> bool:
        """Whether the server may take the same later."""
        return not self.by_pooler and (self.state in PASSING or self.state.startswith("08"))

    @property
    def by_pooler(self) -> bool:
        """Whether a pooler refuses the settings of a session."""
        return self.state == POOLER[0] and POOLER[1] in self.message

    def __str__(self) -> str:
        return f"{self.message} (SQLSTATE {self.state})"


class Lost(Exception):
    """The session is lost, or there is none. A statement that was under way may have happened."""


class DatabaseSession(Protocol):
    """A connection to a server. It runs one statement at a time."""

    @property
    def lost(self) -> bool:
        """Whether it is of no more use."""
        ...

    async def run(self, statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
        """Run a statement to its end, and return its rows.

        Raises:
            Refused, Lost: As above.
        """
        ...

    async def run_together(self, statements: Sequence[str]) -> None:
        """Run statements without arguments in one transaction.

        Raises:
            Refused, Lost: As above, for all of them.
        """
        ...

    async def close(self) -> None:
        """End the session in order. It has no statement under way."""
        ...

    def terminate(self) -> None:
        """Cut the session off. A statement that is under way is lost, and never cancelled."""
        ...


class DatabaseDriver(Protocol):
    """Makes sessions with one server, or with the one of several that takes writes."""

    async def connect(self, settings: Mapping[str, str]) -> DatabaseSession:
        """Make a session.

        Args:
            settings: Of the server, for the life of the session.

        Raises:
            Refused, Lost: There is none.
        """
        ...


class AsyncpgDriver:
    """The driver of all stores but the tests' own.

    Raises:
        StoreFailed: asyncpg is not installed.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        try:
            import asyncpg  # noqa: PLC0415  comes with an extra, which most do without
        except ImportError:
            raise StoreFailed(
                f"{url.shown} is on PostgreSQL, and its driver is not installed. Install it: "
                "pip install 'perdure[postgres]'"
            ) from None
        self._asyncpg: Any = asyncpg
        self._url = url
        self._addresses = addresses_of(url.dsn, os.environ)
        self._lacking: set[str] = set()  # settings that this server cannot have

    async def connect(self, settings: Mapping[str, str]) -> DatabaseSession:
        try:
            return await self._connect_with(settings)
        except Refused as refused:
            if refused.state != INVALID or CHECKS_CLIENT not in refused.message or CHECKS_CLIENT in self._lacking:
                raise
            self._lacking.add(CHECKS_CLIENT)
            return await self._connect_with(settings)

    async def _connect_with(self, settings: Mapping[str, str]) -> DatabaseSession:
        # A pooler refuses settings that it does not know. Then the role has them, and the store looks that they are so.
        given = (
            {name: value for name, value in settings.items() if name not in self._lacking}
            if self._url.prepare
            else {"application_name": settings["application_name"]}
        )
        try:
            if len(self._addresses) > 1:
                connection = await self._connect_first(given)
            else:
                connection = await self._connect_to(given, timeout=CONNECT_S)
        except Exception as error:
            raise self._translated(error, connecting=True) from error
        return AsyncpgSession(connection, self._translated)

    async def _connect_to(self, settings: Mapping[str, str], **where: Any) -> Any:
        return await self._asyncpg.connect(
            self._url.dsn,
            server_settings=settings,
            statement_cache_size=STATEMENTS_CACHED if self._url.prepare else 0,
            max_cached_statement_lifetime=0,
            target_session_attrs="read-write",
            **where,
        )

    async def _connect_first(self, settings: Mapping[str, str]) -> Any:
        """Connect to all servers at once, and take the first that takes writes: one that is gone holds up nobody.

        Raises:
            Exception: Of the driver; none takes writes. A refusal that will not pass comes before what others said.
        """
        trials = [
            asyncio.ensure_future(self._connect_to(settings, host=host or "localhost", port=port, timeout=ADDRESS_S))
            for host, port in self._addresses
        ]
        winner: asyncio.Task[Any] | None = None
        waiting = set(trials)
        try:
            while waiting and winner is None:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                winner = next((each for each in done if each.exception() is None), None)
        finally:
            for each in trials:
                if each is not winner:
                    each.cancel()
                    each.add_done_callback(_drop)
        if winner is not None:
            return winner.result()
        raise min((error for each in trials if (error := each.exception()) is not None), key=self._hope)

    def _hope(self, error: BaseException) -> int:
        """How much hope an error leaves: a server that knows neither user nor database will not do so later."""
        translated = self._translated(error, connecting=True) if isinstance(error, Exception) else None
        return 2 if not isinstance(translated, Refused) else int(translated.passes)

    def _translated(self, error: Exception, *, connecting: bool = False) -> Refused | Lost:
        """Say which of the two an error of asyncpg is."""
        if isinstance(error, self._asyncpg.PostgresError):
            state: str = error.sqlstate or ""
            ends = getattr(error, "severity_en", None) in ("FATAL", "PANIC")
            refused = Refused(state, str(error))
            if connecting and (refused.by_pooler or (state not in ENDED and not state.startswith("08"))):
                return refused
            if not (ends or state in ENDED or state.startswith("08") or not state):
                return refused
        elif isinstance(error, self._asyncpg.TargetServerAttributeNotMatched):
            return Lost("it takes no writes: it is a standby, or default_transaction_read_only is on for this user")
        elif isinstance(error, UnicodeDecodeError):
            pass  # what a server said before it had told how it writes
        elif isinstance(error, ValueError | TypeError | OverflowError | self._asyncpg.ClientConfigurationError):
            # An argument that has no form on the wire, or an address that no server can have; nothing was sent.
            return Refused("22000", str(error))
        return Lost(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


class AsyncpgSession:
    """A connection of asyncpg."""

    def __init__(self, connection: Any, translated: Callable[[Exception], Refused | Lost]) -> None:
        self._connection = connection
        self._translated = translated
        self._warned: str | None = None
        connection.add_log_listener(self._listen)
        _cut_when_silent(connection)

    @property
    def lost(self) -> bool:
        closed: bool = self._connection.is_closed()
        return closed

    async def run(self, statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
        self._warned = None
        try:
            rows: Sequence[Row] = await self._connection.fetch(statement.sql, *arguments)
        except Exception as error:
            raise self._failed(error) from error
        except BaseException:
            # Cancelled. The driver asks the server to cancel the statement, and the next one could be hit instead.
            self.terminate()
            raise
        if self._warned is not None:
            self.terminate()
            raise Lost(self._warned)
        return rows

    async def run_together(self, statements: Sequence[str]) -> None:
        try:
            await self._connection.execute(";\n".join(statements))
        except Exception as error:
            raise self._failed(error) from error

    async def close(self) -> None:
        try:
            await self._connection.close(timeout=1.0)
        except Exception:  # the server ends the session by itself
            self.terminate()

    def terminate(self) -> None:
        self._connection.terminate()

    def _failed(self, error: Exception) -> Refused | Lost:
        translated = self._translated(error)
        if isinstance(translated, Lost):
            self.terminate()
        return translated

    def _listen(self, connection: object, message: Any) -> None:
        if message.sqlstate == WARNING:
            self._warned = f"the server has warned: {message.message}"


def _drop(trial: "asyncio.Task[Any]") -> None:
    """End a connection that nobody waits for any more."""
    if not trial.cancelled() and trial.exception() is None:
        trial.result().terminate()


def _cut_when_silent(connection: Any) -> None:
    """Have the machine end a connection that acknowledges nothing, as the server does on its side."""
    transport = getattr(connection, "_transport", None)  # not public; a test holds that it is there
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_USER_TIMEOUT", SILENT_MS), ("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1)):
        if hasattr(socket, option):  # Linux has all of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


# The loop. A store is opened in one call and closed in another, so its tasks are in no task group.


class Later(Protocol):
    """A call that happens later, unless it is cancelled."""

    def cancel(self) -> object:
        """Do not let it happen, if it has not happened yet."""
        ...


def call_later(seconds: float, function: Callable[[], None]) -> Later:
    """Call a function after so many seconds."""
    return asyncio.get_running_loop().call_later(seconds, function)


def spawn(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Begin a task. The caller keeps it, and awaits its end."""
    return asyncio.get_running_loop().create_task(work)


async def ended(task: "asyncio.Task[None]") -> None:
    """Wait until a task is done, however it ends."""
    await asyncio.wait([task])
