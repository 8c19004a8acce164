"""An engine: an app, a store and a host, running inside an anyio program.

    async with Engine(app, data="perdure.db") as engine:
        print(await engine.client.run(greet, input="world"))

Leaving the block stops gracefully: no new requests, running activities get a
grace period, and everything is on disk.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from ..actors.address import Address
from ..actors.clock import Clock, SystemClock
from ..actors.host import Host, HostLimits
from ..actors.store.contract import Store
from ..actors.store.memory import MemoryStore
from ..actors.store.sqlite import Durability, SqliteStore
from .activity_actor import ActivityActors
from .app import App
from .child_starter import ChildStarter
from .client import Client
from .facade import Facade
from .message import ACTIVITY, CHILD_START, WORKFLOW, Start
from .settings import Settings
from .workflow_actor import WorkflowActorType

IN_MEMORY = ":memory:"


class Engine:
    """Hosts an app's workflows and activities.

    Args:
        app: None hosts no code: instances wait until a process that has their code opens the store.
        data: A SQLite file, ":memory:" for nothing that outlives the engine, or a store of your own.
        durability: What a commit survives; FULL is power loss, RELAXED only a crash of the process.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        data: str | Path | Store = "perdure.db",
        durability: Durability = Durability.FULL,
        settings: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.app = app
        self.settings = settings or Settings()
        self.store = _store(data, durability)
        self._activities = ActivityActors(app, self.settings, send=self._send)
        self._host = Host(
            self.store,
            clock or SystemClock(),
            types={WORKFLOW: WorkflowActorType(app)},
            routes={ACTIVITY: self._activities.receive, CHILD_START: self._start_child},
            limits=HostLimits(
                activations_max=0 if self.settings.always_replay else self.settings.activations_max,
                mailbox_messages_max=self.settings.mailbox_messages_max,
            ),
        )
        self.facade = Facade(self._host)
        self.client = Client(self.facade, app)
        self._children = ChildStarter(self.facade, send=self._send)
        self._running: AsyncExitStack | None = None
        self._used = False

    @property
    def ready(self) -> bool:
        """Whether the engine takes requests and its store takes writes."""
        return self._running is not None and self._host.healthy

    @property
    def commits(self) -> int:
        """How many group commits there were since the start."""
        return self._host.commits

    @property
    def turns(self) -> int:
        """How many turns were taken since the start."""
        return self._host.turns

    def active_actors(self) -> Mapping[str, int]:
        """How many actors of each type are in memory."""
        return {WORKFLOW: self._host.activations, ACTIVITY: len(self._activities)}

    async def __aenter__(self) -> Self:
        assert not self._used, "an engine runs once; make another"
        self._used = True
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._run())
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._running is not None
        running, self._running = self._running, None
        # An error in the block stops the engine as gracefully as its end does, and then goes on
        # its way as it is, not wrapped by the task groups inside.
        await running.aclose()

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        # Not inside the task group, which would wrap an error of the store in a group of errors.
        await self._host.open()
        try:
            # Who sends must be there before who is sent to wakes up, and go after it.
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._activities.run)
                await tasks.start(self._children.run)
                async with self._host.running():
                    yield
                    self._host.refuse()
                    await self._activities.stop(self.settings.stop_grace_s)
                tasks.cancel_scope.cancel()
        finally:
            # Again, in case it was cancelled before the host had it.
            with anyio.CancelScope(shield=True):
                await self.store.close()

    def _send(self, address: Address, body: object) -> None:
        self._host.send(address, body)

    def _start_child(self, address: Address, start: Start) -> None:
        self._children.receive(address, start)


def _store(data: str | Path | Store, durability: Durability) -> Store:
    if data == IN_MEMORY:
        return MemoryStore()
    if isinstance(data, str | Path):
        return SqliteStore(Path(data), durability=durability)
    return data
