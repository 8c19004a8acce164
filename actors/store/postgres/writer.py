"""The session that writes, and the resolution of commits whose outcome is unknown.

The rule: an unknown outcome is resolved, not guessed. Before any other statement, a new session raises the `life` of
its host's row: that waits for the transaction of the session before, and voids statements that it may still have sent.
Then the commit is looked up by the position of one of its entries: if the entry exists, the commit has happened;
otherwise it is sent again.

A commit is never cancelled. If it has no answer while another connection gets answers, or if patience ends, its session
is cut off.

`actors/store/postgres/store.py` has a `Writer`.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio

from ..errors import StoreFailed, StoreUncertain
from ..presence.figures import CommitDoubts
from .driver import DatabaseSession, Later, Lost, Refused, Row, Statement, call_later
from .presence import Connect, Presence
from .statements import FIND_ENTRY, LOOK_AT_HOST, MISSED, REVIVE
from .url import DatabaseUrl

logger = logging.getLogger(__name__)

SILENT_S = 5.0  # a commit without an answer for this time is cut off, if another connection gets answers
PAUSE_MIN_S, PAUSE_MAX_S = 0.02, 0.5  # between two tries; doubled


class CommitReceipt(NamedTuple):
    """The entry by which a commit can be found."""

    key: int
    position: int


class _CommitRefused(Exception):
    """The server refused the commit itself, and not its session or a query about it."""

    def __init__(self, cause: Refused) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Writer:
    """Writes for one host, in each of its lives. A call that was begun in one life fails in the next.

    Args:
        patience_s: How long it tries while the database is unreachable.
        doubts: Counts the outcomes of commits whose connection breaks.
    """

    def __init__(self, url: DatabaseUrl, connect: Connect, *, patience_s: float, doubts: CommitDoubts) -> None:
        self._doubts = doubts
        self._url = url
        self._connect = connect
        self._presence: Presence | None = None  # None: this host has not joined
        self._patience_s = patience_s
        self._session: DatabaseSession | None = None
        self._lock = anyio.Lock()
        self._life = 0
        self._timeline = ""
        self._closed = False

    @property
    def in_doubt(self) -> bool:
        """Whether a commit without a waiting caller may be under way. Reads have to wait then."""
        return self._presence is not None and (self._session is None or self._session.lost)

    def begin(self, presence: Presence) -> None:
        """Write for another life from now on. The life before has ended."""
        assert self._presence is None or self._presence.ended is not None, "two lives at once"
        session, self._session = self._session, None
        if session is not None:
            session.terminate()
        self._presence = presence
        self._life, self._timeline = 0, ""

    async def settle(self) -> None:
        """Wait until no commit is in doubt, for as long as patience lasts.

        Raises:
            StoreTakenOver, StoreFailed: The doubt cannot be settled now.
        """
        presence = self._joined()
        async with self._lock:
            pauses = Pauses(self._patience_s)
            while True:
                try:
                    await self._ready(presence)
                    return
                except (Lost, Refused) as error:
                    if not await pauses.pause(error):
                        raise self._away(error) from error

    async def run(self, statement: Statement, arguments: Sequence[Any], what: str) -> Sequence[Row]:
        """Run a statement that may safely be run twice.

        Raises:
            StoreTakenOver, StoreFailed: The statement failed.
        """
        presence = self._joined()
        async with self._lock:
            pauses = Pauses(self._patience_s)
            while True:
                try:
                    session = await self._ready(presence)
                    return await self._send(session, statement, arguments, pauses)
                except (Lost, Refused) as error:
                    if isinstance(error, Refused) and not error.passes:
                        raise StoreFailed(f"{what} failed in {self._url.shown}: {error}") from error
                    if not await pauses.pause(error):
                        raise self._away(error) from error

    async def fenced(self, statement: Statement, arguments: Sequence[Any], what: str) -> None:
        """Run a statement that carries the fence, returns a row if the fence holds, and may safely be run twice.

        Raises:
            StoreTakenOver, StoreFailed: The statement failed.
            StoreUncertain: The statement may have been executed.
        """
        await self.commit(statement, arguments, None, what)

    async def commit(
        self, statement: Statement, arguments: Sequence[Any], receipt: CommitReceipt | None, what: str
    ) -> None:
        """Commit, once.

        Args:
            arguments: The arguments after those of the fence.
            receipt: None for a commit that may safely happen twice.

        Raises:
            StoreTakenOver, StoreFailed: The commit has not happened.
            StoreUncertain: The commit may have happened.
        """
        presence = self._joined()
        async with self._lock:
            pauses = Pauses(self._patience_s)
            in_doubt = told = False
            while True:
                try:
                    session = await self._ready(presence)
                    if in_doubt and receipt is not None and await self._send(session, FIND_ENTRY, receipt, pauses):
                        return
                    in_doubt = True
                    if await self._send_commit(presence, session, statement, arguments, pauses):
                        return
                    in_doubt = False
                    await self._find_out(presence, session, pauses)
                except _CommitRefused as refused:
                    in_doubt = False
                    error: Lost | Refused = refused.cause
                except (Lost, Refused) as other:
                    # This does not resolve the commit: a server that refuses a new session may have executed it before.
                    error = other
                except StoreFailed as ended:
                    if in_doubt:
                        raise self._uncertain(what, ended) from ended
                    raise
                else:
                    continue
                if in_doubt and not told:
                    told = True
                    self._doubts.in_doubt += 1
                if not await pauses.pause(error):
                    raise self._end_of(what, error, in_doubt=in_doubt) from error

    async def _send_commit(
        self,
        presence: Presence,
        session: DatabaseSession,
        statement: Statement,
        arguments: Sequence[Any],
        pauses: "Pauses",
    ) -> bool:
        """Send a commit behind the fence, and return whether the fence let it through.

        Raises:
            _CommitRefused: The commit has not happened.
            Lost: The outcome is unknown.
        """
        fence = (presence.host, self._life, self._timeline)
        try:
            return bool(await self._send(session, statement, (*fence, *arguments), pauses))
        except Refused as refused:
            raise _CommitRefused(refused) from refused

    async def close(self) -> DatabaseSession | None:
        """Take no more work, and return the session if no commit of it is in doubt."""
        self._closed = True
        if self._lock.locked() and self._session is not None:
            self._session.terminate()
        async with self._lock:
            session, self._session = self._session, None
        return None if session is None or session.lost else session

    def _joined(self) -> Presence:
        """The life to which a new call belongs."""
        if self._presence is None:
            raise StoreFailed(f"this host has not joined {self._url.shown}; nothing was written")
        return self._presence

    async def _ready(self, presence: Presence) -> DatabaseSession:
        """The session. If it was lost, a new one, which makes sure that no statement of the old one is under way."""
        self._require_alive(presence)
        if self._session is not None and not self._session.lost:
            return self._session
        self._session = None
        session = await self._connect("writer")
        try:
            with anyio.CancelScope(shield=True):
                rows = await session.run(REVIVE, (presence.host,))
            self._require_alive(presence)  # another life may have begun by now
            if not rows:
                raise presence.end("another host has taken the store over, because this one did not beat")
            self._life, timeline = rows[0]
            self._require_timeline(presence, timeline)
        except BaseException:
            session.terminate()
            raise
        self._session = session
        return session

    def _require_alive(self, presence: Presence) -> None:
        if self._closed:
            raise StoreFailed(f"{self._url.shown} is not open")
        if presence.ended is not None:
            raise presence.ended.with_traceback(None)

    def _require_timeline(self, presence: Presence, timeline: str) -> None:
        """End this life on a promoted server: the memory of this host may be ahead of that server's rows."""
        if self._timeline and timeline != self._timeline:
            raise presence.end(
                f"the server is another one than before (timeline {timeline}, was {self._timeline}): a copy that may "
                "not have had all that was committed"
            )
        self._timeline = timeline

    async def _find_out(self, presence: Presence, session: DatabaseSession, pauses: "Pauses") -> None:
        """Find out why a commit found no row of its host.

        Raises:
            StoreTakenOver: This host may not write any more.
            Lost: The row has another `life`: another session has become the writer's, and a new one is made.
        """
        rows = await self._send(session, LOOK_AT_HOST, (presence.host,), pauses)
        if not rows:
            raise presence.end("another host has taken the store over, because this one did not beat")
        session.terminate()
        raise Lost("the fence has held a commit back")

    async def _send(
        self,
        session: DatabaseSession,
        statement: Statement,
        arguments: Sequence[Any],
        pauses: "Pauses",
    ) -> Sequence[Row]:
        """Run a statement to its end, and cut the session off if the statement has no answer."""
        watch = _Watch(session, self._joined(), until=pauses.until)
        rows: Sequence[Row] = ()
        try:
            with anyio.CancelScope(shield=True):
                rows = await session.run(statement, arguments)
        finally:
            watch.end()
        return rows

    def _end_of(self, what: str, error: Lost | Refused, *, in_doubt: bool) -> StoreFailed | StoreUncertain:
        """The error for a commit that is not tried again."""
        if in_doubt:
            return self._uncertain(what, error)
        if isinstance(error, Refused) and not error.passes:
            return StoreFailed(f"{what} failed in {self._url.shown}: {_said(error)}")
        return self._away(error)

    def _uncertain(self, what: str, error: Exception) -> StoreUncertain:
        self._doubts.uncertain += 1
        return StoreUncertain(what, str(error))

    def _away(self, error: Exception) -> StoreFailed:
        return StoreFailed(f"{self._url.shown} is away, so nothing was written: {error}")


def _said(refused: Refused) -> str:
    if refused.state == MISSED:
        return "an actor that it changes is not in the store"
    if refused.state == "23505":
        return f"an actor is there already, under another key ({refused})"
    return str(refused)


class Pauses:
    """The pauses between tries, until patience ends."""

    def __init__(self, patience_s: float) -> None:
        self.until = anyio.current_time() + patience_s
        self._pause_s = PAUSE_MIN_S

    async def pause(self, error: Exception) -> bool:
        """Wait for the next try; False if patience has ended."""
        now = anyio.current_time()
        if now >= self.until or (isinstance(error, Refused) and not error.passes):
            return False
        logger.debug("again in %.2f s: %s", self._pause_s, error)
        await anyio.sleep(min(self._pause_s, self.until - now))
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
        return True


class _Watch:
    """Cuts off a session whose statement has no answer."""

    def __init__(self, session: DatabaseSession, presence: Presence, *, until: float) -> None:
        self._session = session
        self._presence = presence
        self._until = until
        self._began = anyio.current_time()
        self._timer: Later = call_later(self._next_s(self._began), self._look)

    def end(self) -> None:
        self._timer.cancel()

    def _next_s(self, now: float) -> float:
        return min(SILENT_S, max(self._until - now, 0.0) + 0.01)

    def _look(self) -> None:
        now = anyio.current_time()
        # A beat that was sent after this statement was answered.
        if self._presence.answered_at > self._began + SILENT_S / 2 or now >= self._until:
            self._session.terminate()
        else:
            self._timer = call_later(self._next_s(now), self._look)
