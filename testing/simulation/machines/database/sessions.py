"""The driver of a store in a world: sessions with the stand-in for a server, in virtual time and with faults.

The rule: however a connection ends, the server does a statement whole or not at all, and once at most; and
no host knows of a commit before it is done. Faults touch only the network between a host and the server.

Each place has a stream of choices of its own:

    database.connect   a connection is refused (starting, full), or reset
    database.slow      a statement is long on its way
    database.cut       the connection breaks: before the statement, which comes never, or late, or very late; or behind
                       it, and the answer is lost
    database.late      a statement of a session that its host has cut off: it arrives nevertheless, or never, or late
    database.flush     a commit is long on its way to the disk, and has its locks meanwhile
    database.unheard   a server that crashes has the commit that was on its way to the disk, or has not

`machine.py` has the faults of the server as a whole.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, ContextVar
from math import inf
from typing import Any, TypeAlias

from .....actors.store.postgres.driver import CONNECT_S, SILENT_MS, DatabaseSession, Lost, Refused, Row, Statement
from ...choices import Choices
from .backend import DEADLOCK, Backend, ServerCore, StatementUnderWay

# From a host to the server, or back; the usual time first.
TRIPS_S = (0.000_2, 0.005, 0.3, 2.0)
FLUSHES_S = (0.000_5, 0.02, 0.5, 8.0, 20.0)
LATE_S = 0.05
VERY_LATE_S = 10.0
# How a connection breaks around a statement.
NEVER_ARRIVES, ARRIVES_LATE, ARRIVES_VERY_LATE, ANSWER_IS_LOST = 1, 2, 3, 4
LATENESS_S: Mapping[int, float] = {ARRIVES_LATE: LATE_S, ARRIVES_VERY_LATE: VERY_LATE_S}
# The refusal of a connection.
STARTING = Refused("57P03", "the database system is starting up")
FULL = Refused("53300", "sorry, too many clients already")
CONNECTING: Sequence[Refused | Lost] = (STARTING, FULL, Lost("the connection was reset"))
DEADLOCK_S = 1.0
SILENT_S = SILENT_MS / 1000
ROUNDED_S = 1e-6
# When TCP repeats the request for a connection, as Linux does, within CONNECT_S. A silence may have been healed by
# then.
ASKED_AGAIN_S = (1.0,)

# Called by the server once the commit that a task sends is there.
TOLD: ContextVar[Callable[[], None] | None] = ContextVar("perdure_simulated_commit", default=None)
COMMIT = "commit"

Tell: TypeAlias = Callable[[str], None]


class Link:
    """The network between one host and the server.

    Args:
        tell: Takes lines about faults.

    Attributes:
        sessions: The sessions that are not over.
        silent_there_until_s, silent_back_until_s: Until when nothing gets through; the loop's clock.
        felt_until_s: The end of the last disturbance of its statements, such as slow ones and ones that hold locks;
            -inf: there was none.
        sent: How often each statement was sent.
    """

    def __init__(self, server: "TimedServer", tell: Tell) -> None:
        self.server = server
        self.tell = tell
        self.sessions: dict[SimSession, None] = {}
        self.silent_there_until_s = 0.0
        self.silent_back_until_s = 0.0
        self.felt_until_s = -inf
        self.sent: Counter[str] = Counter()

    async def connect(self, settings: Mapping[str, str]) -> DatabaseSession:
        """Make a session, as `DatabaseDriver` has it."""
        server, loop = self.server, asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(2 * server.trip_s)
        if fault := server.choices.fault("database.connect", 1 + len(CONNECTING)):
            self.tell(f"does not let {settings.get('application_name', 'a client')} in")
            raise _copied(CONNECTING[fault - 1])
        await self._be_heard(began)
        if server.down:
            raise Lost("the connection was refused")
        if loop.time() < server.starting_until_s:
            raise _copied(STARTING)
        session = SimSession(self, Backend(server.core, settings))
        self.sessions[session] = None
        return session

    async def _be_heard(self, began_s: float) -> None:
        """Wait until the server gets the request for a connection that began at that time.

        It gets the request at the end of its silence, or if that ends early, when the host repeats the request.

        Raises:
            Lost: That takes too long.
        """
        server, loop = self.server, asyncio.get_running_loop()
        for asked_s in (*ASKED_AGAIN_S, CONNECT_S):
            while away_s := max(self._silent_s(loop.time()), server.frozen_s(loop.time())):
                rest_s = left_s(began_s + asked_s, loop.time())
                if not rest_s:
                    break
                await asyncio.sleep(min(away_s, rest_s))
        if not left_s(began_s + CONNECT_S, loop.time()):
            raise Lost("the server does not answer")

    def silence(self, seconds: float, *, there: bool = True, back: bool = True) -> None:
        """Let nothing through for a while. Connections that are silent for too long are lost at both ends."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        if there:
            self.silent_there_until_s = max(self.silent_there_until_s, until_s)
        if back:
            self.silent_back_until_s = max(self.silent_back_until_s, until_s)
        if seconds >= SILENT_S:
            for session in list(self.sessions):
                loop.call_later(SILENT_S, session.fall_silent, context=Context())

    def heal(self) -> None:
        """Let everything through from now on. Messages under way already arrive when they would have."""
        self.silent_there_until_s = self.silent_back_until_s = 0.0

    def feel(self, seconds: float) -> None:
        """Note that a disturbance of a statement lasts for `seconds`."""
        self.felt_until_s = max(self.felt_until_s, asyncio.get_running_loop().time() + seconds)

    def abandon(self) -> None:
        """Cut all sessions, as the operating system does when their process is killed."""
        for session in list(self.sessions):
            session.terminate()

    def _silent_s(self, now_s: float) -> float:
        return left_s(max(self.silent_there_until_s, self.silent_back_until_s), now_s)


def left_s(until_s: float, now_s: float) -> float:
    """The time until then, in seconds. The rounding error of a sum of two times counts as none."""
    left = until_s - now_s
    return left if left > ROUNDED_S else 0.0


def _copied(error: Refused | Lost) -> Refused | Lost:
    """An error without the frames of earlier raises."""
    return type(error)(*error.args)


class TimedServer:
    """A server in time: it is up, starting, down, or stands still.

    Args:
        trip_s: The usual time to the server, in seconds; 0 for none.
    """

    def __init__(self, core: ServerCore, choices: Choices, *, trip_s: float = TRIPS_S[0]) -> None:
        self.core = core
        self.choices = choices
        self.trip_s = trip_s
        self.flush_s = FLUSHES_S[0] if trip_s else 0.0
        self.down = False
        self.starting_until_s = 0.0
        self.frozen_until_s = 0.0
        self.flushing: dict[Trip, None] = {}

    def frozen_s(self, now_s: float) -> float:
        """The rest of the time for which it stands still, in seconds; 0 if it does not."""
        return left_s(self.frozen_until_s, now_s)

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function at the server after `seconds`; later, if it stands still then."""
        loop = asyncio.get_running_loop()
        if seconds:
            loop.call_later(seconds, self._now, function, context=Context())
        else:
            loop.call_soon(self._now, function, context=Context())

    def _now(self, function: Callable[[], None]) -> None:
        frozen_s = self.frozen_s(asyncio.get_running_loop().time())
        if frozen_s:
            self.later(frozen_s, function)
        else:
            function()

    def crash(self) -> None:
        """End all sessions at once. Of commits on their way to the disk each is there or not, by choice."""
        for trip in list(self.flushing):
            if self.choices.fault("database.unheard", rates=(0.5,)):
                trip.settle(answered=False)
        self.flushing.clear()
        self.core.crash()


class SimSession:
    """A session, at the host's side."""

    def __init__(self, link: Link, backend: Backend) -> None:
        self._link = link
        self._server = link.server
        self.backend = backend
        backend.when_ended = self._backend_has_ended
        self._trip: Trip | None = None
        self._lost: str | None = None

    @property
    def lost(self) -> bool:
        return self._lost is not None

    async def run(self, statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
        told = TOLD.get() if statement.name == COMMIT else None
        return await self._travel(Trip(self, statement, arguments, told))

    async def run_together(self, statements: Sequence[str]) -> None:
        await self._travel(Trip(self, None, statements, None))

    async def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        if self._lost is not None:
            return
        self._be_lost("it was cut off")
        trip = self._trip
        if trip is None:
            self._server.later(self._server.trip_s, self.backend.end)
        elif not trip.arrived:
            trip.be_late(self._server.choices.fault("database.late", 4))

    def fall_silent(self) -> None:
        """Be lost at both ends, after a silence that was too long."""
        if self._lost is None:
            trip = self._trip
            if trip is not None and not trip.arrived:
                trip.be_late(NEVER_ARRIVES)
            self._be_lost("the server does not answer")
        if self._trip is None or not self._trip.arrived:
            self.backend.end()

    def break_off(self) -> None:
        """Be lost, because the connection has broken. A statement that was sent may still arrive."""
        if self._lost is None:
            self._be_lost("the connection was cut")

    async def _travel(self, trip: "Trip") -> Sequence[Row]:
        if self._lost is not None:
            raise Lost(self._lost)
        assert self._trip is None, "a session runs one statement at a time"
        self._trip = trip
        trip.leave()
        try:
            return await trip.answer
        except (Lost, Refused):
            raise
        except BaseException:
            self.terminate()  # cancelled; as the session of the real driver does
            raise

    def arrived_back(self, trip: "Trip") -> None:
        """Take note that a statement's answer has come."""
        if self._trip is trip:
            self._trip = None

    @property
    def link(self) -> Link:
        """The connection to the server."""
        return self._link

    def _be_lost(self, why: str) -> None:
        self._lost = why
        self._link.sessions.pop(self, None)
        if self._trip is not None and not self._trip.answer.done():
            self._trip.answer.set_exception(Lost(why))

    def _backend_has_ended(self) -> None:
        if self._lost is None:
            self._server.later(self._server.trip_s, self._hear_of_the_end)

    def _hear_of_the_end(self) -> None:
        if self._lost is None:
            self._be_lost("the server has ended the session")


class Trip:
    """A statement on its way to the server, in it, and back.

    Attributes:
        arrived: Whether the server has it.
    """

    def __init__(
        self,
        session: SimSession,
        statement: Statement | None,  # None: `arguments` are statements without arguments
        arguments: Sequence[Any],
        told: Callable[[], None] | None,
    ) -> None:
        self.answer: asyncio.Future[Sequence[Row]] = asyncio.get_running_loop().create_future()
        self.arrived = False
        self._session = session
        self._statement = statement
        self._arguments = arguments
        self._told = told
        self._lateness = 0
        self._answer_is_lost = False
        self._server = session.link.server

    @property
    def name(self) -> str:
        """The name of the statement, for the story."""
        return self._statement.name if self._statement is not None else "making of tables"

    def leave(self) -> None:
        """Set out."""
        server, link = self._server, self._session.link
        link.sent[self.name] += 1
        slow = server.choices.fault("database.slow", len(TRIPS_S))
        trip_s = TRIPS_S[slow] if slow else server.trip_s
        if slow:
            link.tell(f"takes {trip_s} s to hear of a {self.name}")
            link.feel(trip_s)
        cut = server.choices.fault("database.commit" if self.name == COMMIT else "database.cut", 5)
        if cut and cut != ANSWER_IS_LOST:
            link.tell(f"loses a connection before a {self.name}" + (", which comes late" if cut > 1 else ""))
            self._lateness = cut
            link.feel(trip_s + LATENESS_S.get(cut, 0.0))
            server.later(trip_s, self._session.break_off)
            if cut in LATENESS_S:
                server.later(trip_s + LATENESS_S[cut], self._arrive)
            return
        self._answer_is_lost = cut == ANSWER_IS_LOST
        silent_s = link.silent_there_until_s - asyncio.get_running_loop().time()
        server.later(max(trip_s, silent_s), self._arrive_in_time)

    def be_late(self, how: int) -> None:
        """Arrive late or never, because the session was cut off; 0: in time."""
        if self._lateness or not how:
            return
        self._lateness = how
        if how in LATENESS_S:
            self._server.later(LATENESS_S[how], self._arrive)

    def _arrive_in_time(self) -> None:
        if not self._lateness:
            self._arrive()

    def _arrive(self) -> None:
        backend = self._session.backend
        self.arrived = True
        if backend.ended:
            return
        try:
            if self._statement is None:
                execution = backend.start_together(self._arguments, self._executed)
            else:
                execution = backend.start(self._statement, self._arguments, self._executed)
        except Exception as error:  # an error of the stand-in itself, which is raised where the statement was sent
            if not self.answer.done():
                self.answer.set_exception(error)
            return
        if not execution.over:
            self._server.later(DEADLOCK_S, lambda: self._look_for_deadlock(execution))

    def _look_for_deadlock(self, execution: StatementUnderWay) -> None:
        if execution.waits_for is None:
            return
        if self._statement is None:
            execution.refuse(Refused("55P03", "canceling statement due to lock timeout"))
        elif execution.is_deadlocked():
            execution.refuse(Refused(DEADLOCK, "deadlock detected"))

    def _executed(self, execution: StatementUnderWay) -> None:
        backend, server = self._session.backend, self._server
        transaction = backend.transaction
        if execution.refused is not None or backend.explicit or transaction is None or not transaction.wrote:
            self.settle()
            return
        server.flushing[self] = None
        flush = server.choices.fault("database.flush", len(FLUSHES_S)) if self._statement is not None else 0
        if flush:
            self._session.link.tell(f"takes {FLUSHES_S[flush]:.3g} s to write a {self.name}")
            self._session.link.feel(FLUSHES_S[flush])
        server.later(FLUSHES_S[flush] if flush else server.flush_s, self._flushed)

    def _flushed(self) -> None:
        if self in self._server.flushing:
            self.settle()

    def settle(self, *, answered: bool = True) -> None:
        """Commit the changes of the statement, and send its answer."""
        self._server.flushing.pop(self, None)
        backend, session = self._session.backend, self._session
        if backend.ended:
            return
        outcome = backend.settle()
        if self._told is not None and not isinstance(outcome, Refused) and outcome:
            self._told()
        if session.lost:
            backend.end()
            return
        if not answered:
            return
        if self._answer_is_lost:
            session.link.tell(f"loses the answer to a {self.name}")
            self._server.later(self._server.trip_s, session.break_off)
            return
        if backend.explicit:
            self._server.later(float(backend.settings.get(IDLE, "0")) / 1000, self._look_for_idleness(backend))
        silent_s = session.link.silent_back_until_s - asyncio.get_running_loop().time()
        self._server.later(max(self._server.trip_s, silent_s), lambda: self._deliver(outcome))

    def _look_for_idleness(self, backend: Backend) -> Callable[[], None]:
        transaction, command = backend.transaction, backend.transaction.command if backend.transaction else 0

        def look() -> None:
            idle = backend.execution is None and backend.transaction is transaction and transaction is not None
            if (
                idle
                and transaction is not None
                and transaction.command == command
                and backend.settings.get(IDLE, "0") != "0"
            ):
                backend.end()

        return look

    def _deliver(self, outcome: Refused | Sequence[Row]) -> None:
        self._session.arrived_back(self)
        if self.answer.done():
            return
        if isinstance(outcome, Refused):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


IDLE = "idle_in_transaction_session_timeout"
