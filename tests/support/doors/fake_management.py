"""A facade without an engine, for both gRPC services: instances in memory, and the requests."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence

import anyio

from perdure.runtime.errors import InstanceExists, InstanceNotFound
from perdure.runtime.history.attribution import By
from perdure.runtime.history.event import Trace
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.row import Row
from perdure.runtime.history.status import Status
from perdure.runtime.instance.condition import ANY, Condition
from perdure.runtime.operations.facade import Page, finished
from perdure.runtime.operations.rerun import Rerun

from .fake_facade import FakeFacade, state


class FakeManagement(FakeFacade):
    """Adds the methods for a worker and for the rest of the task hub: waits, lists, histories, reruns.

    Args:
        begins: Instances run as soon as they are started, as with a worker.
    """

    def __init__(self, *states: InstanceState, begins: bool = True) -> None:
        super().__init__(*states)
        self.rows: dict[str, Sequence[Row]] = {}
        self.begins = begins
        self._news = anyio.Event()

    def put(self, changed: InstanceState) -> None:
        super().put(changed)
        news, self._news = self._news, anyio.Event()
        news.set()

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,  # noqa: A002
        start_at_us: int | None = None,
        unique: bool = False,
        trace: Trace | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        self.asked("start", name, instance_id, input, start_at_us, unique, trace)
        instance_id = instance_id or str(uuid.uuid4())
        found = self.instances.get(instance_id)
        if found is not None and (unique or not found.status.terminal):
            raise InstanceExists(instance_id, unique=found.status.terminal)
        running = self.begins and start_at_us is None
        self.put(state(instance_id, Status.RUNNING if running else Status.PENDING, name=name, input=input))
        return instance_id

    async def suspend(
        self, instance_id: str, *, reason: str | None = None, by: By | None = None, condition: Condition = ANY
    ) -> None:
        self.authors.append(by)
        self.asked("suspend", instance_id, reason)
        self.change(instance_id, {Status.PENDING: Status.SUSPENDED, Status.RUNNING: Status.SUSPENDED})

    async def resume(
        self, instance_id: str, *, reason: str | None = None, by: By | None = None, condition: Condition = ANY
    ) -> None:
        self.authors.append(by)
        self.asked("resume", instance_id, reason)
        self.change(instance_id, {Status.SUSPENDED: Status.RUNNING})

    def purged(self, instance_id: str, *, force: bool) -> None:
        if force:
            del self.instances[instance_id]
        else:
            super().purged(instance_id, force=force)

    async def wait(
        self, instance_id: str, until: Callable[[Status], bool] = finished, *, await_creation: bool = False
    ) -> InstanceState:
        self.asked("wait", instance_id)
        while (found := self.instances.get(instance_id)) is None or not until(found.status):
            if found is None and not await_creation:
                raise InstanceNotFound(instance_id)
            await self._news.wait()
        return found

    async def list_ids(self, *, after: str | None = None, ids_max: int = 1024) -> Page:
        self.asked("list_ids", after, ids_max)
        ids = sorted(known for known in self.instances if after is None or known > after)
        return Page(ids[:ids_max], ids[ids_max - 1] if len(ids) > ids_max else None)

    async def history(self, instance_id: str) -> list[Row] | None:
        self.asked("history", instance_id)
        rows = self.rows.get(instance_id)
        return list(rows) if rows is not None else None

    async def rerun(self, rerun: Rerun, *, by: By | None = None) -> str:
        self.authors.append(by)
        self.asked("rerun", rerun)
        new_id = rerun.new_id or str(uuid.uuid4())
        self.put(state(new_id))
        return new_id

    async def purge_where(
        self,
        *,
        created_from_us: int | None = None,
        created_to_us: int | None = None,
        statuses: Collection[Status] = (),
        recurse: bool = True,
        force: bool = False,
        by: By | None = None,
    ) -> int:
        self.authors.append(by)
        self.asked("purge_where", created_from_us, created_to_us, statuses, recurse, force)
        return 7
