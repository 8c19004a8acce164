"""The driver: sessions with a PostgreSQL server, with asyncpg.

The rule: a statement that fails raises one of two errors. `Refused`: the server has refused the statement, and none of
its effects happened. `Lost`: the outcome is unknown, and the session cannot be used any more. Every error of the driver
that is not a refusal becomes `Lost`, its internal errors after a cut connection included.

All other modules of `actors/store/postgres/` use only `DatabaseDriver` and `DatabaseSession`, so that a simulation can
replace the server by functions on dictionaries. For this a statement has a name beside its text.
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

CONNECT_S = 3.0  # a server that does not accept a connection within this time is unreachable
ADDRESS_S = 1.0  # the same for one of several servers, which are all tried at once
SILENT_MS = 5_000  # a connection is cut if the network acknowledges nothing for this time
CHECKS_CLIENT = "client_connection_check_interval"  # a server on Windows refuses this setting
STATEMENTS_CACHED = 256  # statements prepared in a session; the commit and the lists have many forms

# The SQLSTATEs at the end of a session. After them the outcome of the statement under way is unknown.
ENDED = frozenset({"57P01", "57P02", "57P04", "57P05", "25P03", "25P04", "25006"})
# The SQLSTATEs after which the same statement may succeed later: the server is starting, full, or in conflict with
# another transaction; or a migration has made a plan void.
PASSING = frozenset({"57P03", "53300", "40001", "40P01", "0A000", "55P03"})
# Of a pooler to which settings are given (pgbouncer's words). Its other errors have the same SQLSTATE, and may pass.
POOLER = ("08P01", "unsupported startup parameter")
INVALID = "22023"  # a value that a setting cannot have
# The server has committed without waiting for its standby, because the wait was cancelled.
WARNING = "01000"


def pairs_of(rows: Sequence[Row]) -> dict[Any, Any]:
    """Rows of two columns, as a mapping."""
    return {name: value for name, value in rows}  # noqa: C416  rows are no tuples


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of SQL."""

    name: str
    sql: str
    parts: tuple[str, ...] = ()  # the parts of a commit, in the order of their arguments


class Refused(Exception):
    """The server refused a statement or a connection. The statement had no effect."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(state, message)
        self.state = state  # SQLSTATE
        self.message = message

    @property
    def passes(self) -> bool:
        """Whether the same statement may succeed later."""
        return not self.by_pooler and (self.state in PASSING or self.state.startswith("08"))

    @property
    def by_pooler(self) -> bool:
        """Whether a pooler refuses the settings of a session."""
        return self.state == POOLER[0] and POOLER[1] in self.message

    def __str__(self) -> str:
        return f"{self.message} (SQLSTATE {self.state})"


class Lost(Exception):
    """The session is lost, or none could be made. A statement that was under way may have been executed."""


class DatabaseSession(Protocol):
    """A connection to a server. It runs one statement at a time."""

    @property
    def lost(self) -> bool:
        """Whether the session cannot be used any more."""
        ...

    async def run(self, statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
        """Run a statement to its end, and return its rows.

        Raises:
            Refused, Lost: As described in the module's rule.
        """
        ...

    async def run_together(self, statements: Sequence[str]) -> None:
        """Run statements without arguments in one transaction.

        Raises:
            Refused, Lost: The same, for all statements together.
        """
        ...

    async def close(self) -> None:
        """End the session in order. It has no statement under way."""
        ...

    def terminate(self) -> None:
        """Cut the connection. A statement that is under way is lost, and never cancelled."""
        ...


class DatabaseDriver(Protocol):
    """Makes sessions with one server, or with the one among several servers that takes writes."""

    async def connect(self, settings: Mapping[str, str]) -> DatabaseSession:
        """Make a session.

        Args:
            settings: Settings of the server for the life of the session.

        Raises:
            Refused, Lost: No session could be made.
        """
        ...


class AsyncpgDriver:
    """The driver of all stores except those of tests.

    Raises:
        StoreFailed: asyncpg is not installed.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        try:
            import asyncpg  # noqa: PLC0415  comes with an extra that most users do not install
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
        # A pooler refuses settings that it does not know. Then the role must have them, and the store checks that.
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
        """Connect to all servers at once, and use the first that takes writes, so that a dead server causes no delay.

        Raises:
            Exception: An error of the driver: no server takes writes. A permanent refusal is preferred to other errors.
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
        """How likely a later attempt succeeds after an error: never, if the server knows neither user nor database."""
        translated = self._translated(error, connecting=True) if isinstance(error, Exception) else None
        return 2 if not isinstance(translated, Refused) else int(translated.passes)

    def _translated(self, error: Exception, *, connecting: bool = False) -> Refused | Lost:
        """Turn an error of asyncpg into `Refused` or `Lost`."""
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
            pass  # text that a server sent before its encoding was known
        elif isinstance(error, ValueError | TypeError | OverflowError | self._asyncpg.ClientConfigurationError):
            # The argument cannot be encoded, or no server can have the address; nothing was sent.
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
            # Cancelled. The driver would ask the server to cancel the statement, and might hit the next one instead.
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
        except Exception:  # the server ends the session itself
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
    """End a connection attempt whose result is not needed any more."""
    if not trial.cancelled() and trial.exception() is None:
        trial.result().terminate()


def _cut_when_silent(connection: Any) -> None:
    """Let the kernel end a connection whose packets are not acknowledged, as on the server's side."""
    transport = getattr(connection, "_transport", None)  # not public; a test checks that it exists
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_USER_TIMEOUT", SILENT_MS), ("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1)):
        if hasattr(socket, option):  # Linux has all these options
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


# The loop. A store is opened in one call and closed in another, so its tasks are in no task group.


class Later(Protocol):
    """A call that happens later, unless it is cancelled."""

    def cancel(self) -> object:
        """Cancel the call, if it has not happened yet."""
        ...


def call_later(seconds: float, function: Callable[[], None]) -> Later:
    """Call a function after `seconds`."""
    return asyncio.get_running_loop().call_later(seconds, function)


def spawn(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Begin a task. The caller keeps it, and awaits its end."""
    return asyncio.get_running_loop().create_task(work)


async def ended(task: "asyncio.Task[None]") -> None:
    """Wait until a task is done, with any outcome."""
    await asyncio.wait([task])
