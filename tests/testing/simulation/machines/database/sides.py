"""The two sides of a program: the stand-in, and a real server. Each takes steps, and says what came of them."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from perdure.actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Lost, Refused, Statement
from perdure.actors.store.postgres.schema import TABLE_NAMES
from perdure.actors.store.postgres.settings import session_settings
from perdure.actors.store.postgres.statements import BACKEND, END_BLOCKING
from perdure.actors.store.postgres.url import parse_url
from perdure.testing.simulation.machines.database.backend import Backend, ServerCore, StatementUnderWay
from perdure.testing.simulation.machines.database.transactions import NEVER

from .programs import NOW, OF_BEAT, OF_LIFE, ORDERED, READS, SESSIONS, TERMINATE, Blocking, Ended, Ran, Step

# How long a real server may take for what the stand-in says it does.
WITHIN_S = 5.0
TABLES = ("meta", *TABLE_NAMES)


class Came(NamedTuple):
    """What came of a statement: its rows, or the SQLSTATE of its refusal; LOST, or WAITS as long as it waits."""

    session: int
    what: Any


WAITS, LOST = "waits", "lost"


def shown(statement: str, rows: Sequence[Any]) -> Any:
    """Rows as they can be compared."""
    found = [tuple(row) for row in rows]
    return found if statement in ORDERED else sorted(found, key=repr)


class StandIn:
    """The stand-in's side.

    Attributes:
        ended: The sessions that the last step has ended because another one waited for them.
    """

    def __init__(self, core: ServerCore, schema: str) -> None:
        self.core = core
        self._schema = schema
        self.backends = [Backend(core, {"search_path": schema}) for _ in range(SESSIONS)]
        self._came: deque[Came] = deque()
        self._names = [""] * SESSIONS
        self.ended: list[int] = []

    @property
    def waiting(self) -> Sequence[int]:
        """The sessions that wait."""
        return [i for i, each in enumerate(self.backends) if each.execution is not None]

    def may(self, step: Step) -> bool:
        """Whether a step can be taken now, so that its outcome is certain on a real server too."""
        backend, waiting = self.backends[step.session], self.waiting
        if step.session in waiting:
            return isinstance(step, Ended) and step.how == TERMINATE
        if isinstance(step, Blocking):
            return len(waiting) == 1 and self._holder(waiting[0]) is not backend and not backend.explicit
        if isinstance(step, Ended) and step.how == "BEGIN":
            return not backend.explicit and not waiting
        if isinstance(step, Ended) and step.how != TERMINATE:
            return backend.explicit
        if isinstance(step, Ran) and waiting:
            return step.statement.name in READS
        return True

    def _holder(self, session: int) -> Backend | None:
        execution = self.backends[session].execution
        assert execution is not None
        return None if execution.waits_for is None else self.core.backend_of(execution.waits_for)

    def with_values(self, step: Step) -> Step:
        """A step, with the life or the beat that its host has now."""
        if not isinstance(step, Ran) or len(step.arguments) < 2 or step.arguments[1] != NOW:
            return step
        table = "hosts" if step.statement.name in OF_LIFE else "beats" if step.statement.name in OF_BEAT else None
        if table is None:
            return step
        host, _, *rest = step.arguments
        return step._replace(arguments=(host, self._now(table, host), *rest))

    def _now(self, name: str, host: int) -> int:
        table = self.core.schemas[self._schema][name]
        at = table.at["life" if name == "hosts" else "beat"]
        found = [each for each in table.versions(table.keys[0], host) if each.maker.committed_at != NEVER]
        return next((int(each.row[at]) for each in found if each.ender is None or not each.ender.over), 0)

    def take(self, step: Step) -> list[Came]:
        """Take a step, and say what came of it, of this session first; then what came of others."""
        backend, self.ended = self.backends[step.session], []
        if isinstance(step, Ended) and step.how == TERMINATE:
            self._end(backend)
        elif isinstance(step, Ended):
            self._start(step.session, Statement(step.how, step.how), ())
        elif isinstance(step, Blocking):
            (blocked,) = self.waiting
            self._start(step.session, END_BLOCKING, (self.backends[blocked].pid,))
            self._replace_the_ended()
        else:
            self._start(step.session, step.statement, step.arguments)
        came = list(self._came)
        self._came.clear()
        if backend is self.backends[step.session] and backend.execution is not None:
            came.insert(0, Came(step.session, WAITS))
        return came

    def _start(self, session: int, statement: Statement, arguments: Sequence[Any]) -> None:
        self._names[session] = statement.name
        self.backends[session].start(statement, arguments, self._finished)

    def _finished(self, execution: StatementUnderWay) -> None:
        session = self.backends.index(execution.backend)
        at = len(self._came)
        outcome = execution.backend.settle()
        what = outcome.state if isinstance(outcome, Refused) else shown(self._names[session], outcome)
        self._came.insert(at, Came(session, what))  # before those who have waited for it

    def _end(self, backend: Backend) -> None:
        session = self.backends.index(backend)
        if backend.execution is not None:
            self._came.append(Came(session, LOST))
        backend.end()
        self.backends[session] = Backend(self.core, {"search_path": self._schema})

    def _replace_the_ended(self) -> None:
        for session, backend in enumerate(self.backends):
            if backend.ended:
                self.ended.append(session)
                self.backends[session] = Backend(self.core, {"search_path": self._schema})

    def finish(self) -> None:
        """End all transactions."""
        for backend in self.backends:
            backend.end()

    def contents(self) -> Mapping[str, Any]:
        """All rows."""
        found: dict[str, Any] = {}
        for name, table in self.core.schemas[self._schema].items():
            if name in TABLES:
                found[name] = shown("", [version.row for version in table.all()])
        return found


class Real:
    """A real server's side."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self.sessions: list[DatabaseSession] = []
        self._pids: list[int] = []
        self._control: DatabaseSession | None = None
        self._running: dict[int, tuple[Statement, asyncio.Task[Any]]] = {}

    async def begin(self) -> None:
        """Connect, and empty the store."""
        if self._control is None:
            self._control = await self._connect()
        while len(self.sessions) < SESSIONS:
            self.sessions.append(await self._connect())
            ((pid,),) = await self.sessions[-1].run(BACKEND)
            self._pids.append(pid)
        await self._control.run_together(
            [
                *(f"DELETE FROM {name}" for name in TABLES if name not in ("meta", "shards")),
                "UPDATE shards SET host = NULL, epoch = 0",
                "UPDATE meta SET value = 1 WHERE name = 'next_key'",
                "UPDATE meta SET value = 0 WHERE name = 'copying'",
                "ALTER TABLE kinds ALTER kind RESTART",
                "ALTER TABLE audit ALTER number RESTART",
            ]
        )

    async def _connect(self) -> DatabaseSession:
        settings = {**session_settings(self._url, "differential test"), "idle_in_transaction_session_timeout": "0"}
        return await AsyncpgDriver(self._url).connect(settings)

    async def take(
        self, step: Step, expected: Sequence[Came], blocked: Sequence[int], ended: Sequence[int]
    ) -> list[Came]:
        """Take a step, and say what came of it.

        Args:
            expected: What came of it at the stand-in: of those sessions something must come here, in WITHIN_S.
            blocked: Which sessions wait before it.
            ended: Which sessions it has ended at the stand-in, because another one waited for them.
        """
        if isinstance(step, Ended) and step.how == TERMINATE:
            await self._terminate(step.session)
        elif isinstance(step, Ended):
            self._start(step.session, Statement(step.how, step.how), ())
        elif isinstance(step, Blocking):
            self._start(step.session, END_BLOCKING, (self._pids[blocked[0]],))
        else:
            self._start(step.session, step.statement, step.arguments)
        came = [await self._came(each) for each in expected]
        for session in ended:
            await self._gone(self._pids[session])
            await self._reconnect(session)
        return came

    async def still_waiting(self) -> list[int]:
        """The sessions that wait for a lock, each looked at."""
        return [session for session in self._running if await self._is_waiting(session)]

    def _start(self, session: int, statement: Statement, arguments: Sequence[Any]) -> None:
        task = asyncio.ensure_future(self.sessions[session].run(statement, arguments))
        self._running[session] = statement, task

    async def _came(self, expected: Came) -> Came:
        session = expected.session
        if session not in self._running:
            return Came(session, "nothing is under way")
        statement, task = self._running[session]
        if expected.what == WAITS and await self._is_waiting(session):
            return Came(session, WAITS)
        done, _ = await asyncio.wait([task], timeout=WITHIN_S)
        if not done:
            return Came(session, WAITS)
        del self._running[session]
        try:
            return Came(session, shown(statement.name, task.result()))
        except Refused as refused:
            return Came(session, refused.state)
        except Lost:
            return Came(session, LOST)

    async def _is_waiting(self, session: int) -> bool:
        assert self._control is not None
        _, task = self._running[session]
        question = Statement(
            "question", "SELECT wait_event_type = 'Lock' AND state = 'active' FROM pg_stat_activity WHERE pid = $1"
        )
        for _ in range(int(WITHIN_S / 0.005)):
            rows = await self._control.run(question, (self._pids[session],))
            if rows and rows[0][0]:
                return True
            if (await asyncio.wait([task], timeout=0.005))[0]:
                return False
        return False

    async def _terminate(self, session: int) -> None:
        assert self._control is not None
        await self._control.run(Statement("end", "SELECT pg_terminate_backend($1, 10000)"), (self._pids[session],))
        await self._reconnect(session)

    async def _gone(self, pid: int) -> None:
        """Wait for the end of a session: a server only signals one that it is told to end, and releases locks first."""
        assert self._control is not None
        there = Statement("there", "SELECT 1 FROM pg_stat_activity WHERE pid = $1")
        async with asyncio.timeout(WITHIN_S):
            while await self._control.run(there, (pid,)):
                await asyncio.sleep(0.005)

    async def _reconnect(self, session: int) -> None:
        self.sessions[session].terminate()
        self.sessions[session] = await self._connect()
        ((self._pids[session],),) = await self.sessions[session].run(BACKEND)

    async def finish(self) -> None:
        """End all transactions, and the sessions that wait."""
        for session in list(self._running):
            await self._terminate(session)
        for _, task in self._running.values():
            await asyncio.wait([task], timeout=WITHIN_S)
            if not task.cancelled():
                task.exception()
        self._running.clear()
        for session in range(SESSIONS):
            try:
                await self.sessions[session].run(Statement("rollback", "ROLLBACK"))
            except Lost:
                await self._reconnect(session)

    async def contents(self) -> Mapping[str, Any]:
        """All rows."""
        assert self._control is not None
        return {name: shown("", await self._control.run(Statement("all", f"SELECT * FROM {name}"))) for name in TABLES}

    async def close(self) -> None:
        for session in [*self.sessions, *([self._control] if self._control is not None else [])]:
            session.terminate()
