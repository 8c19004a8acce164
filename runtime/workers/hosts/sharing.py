"""The workers of a daemon of several hosts: each of them works for all hosts, and any host takes its answers.

The rule: the streams that end here are announced to the other hosts (`gate.py`), the streams of the others are entries
of this host's dispatcher (`entries.py`), and answers go to the owner of their instance (`answers.py`).

`runtime/engine.py` has one if it has peers; the door of the workers (`rpc/services/work_items.py`) connects them to it.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import anyio

from ....actors.cluster.peers import AppPeers
from ....actors.hosting.host import Host
from ....actors.instruments import Chance, Instruments
from ...directory import AppAddresses
from ...instance.message import WorkflowAnswer
from ..dispatcher import Dispatcher
from ..items import ActivityAnswer, ItemWriter, Worker
from ..stream import Stream
from .answers import WorkerAnswers
from .entries import WorkerEntries
from .gate import WorkerGate


def shared_workers(
    dispatcher: Dispatcher,
    peers: AppPeers | None,
    host: Host,
    own: AppAddresses,
    items: ItemWriter | partial[ItemWriter] | None,
    instruments: Instruments,
) -> "SharedWorkers | None":
    """Share the workers of a host with others, if there may be others.

    Args:
        items: Writes the items of this host; or makes such a writer for its app id when it is needed. None: it can
            write none, and its instances have the workers of this host only.
    """
    if peers is None:
        return None
    writer = partial(items, own.app_id) if isinstance(items, partial) else lambda: items
    return SharedWorkers(dispatcher, peers, host, own=own, writer=writer, chance=instruments.chance)


class SharedWorkers:
    """The workers of all hosts, seen from one host.

    Args:
        host: This host.
        own: The addresses of the app.
        writer: Makes the writer of this host's items, when it is needed; None: it can write none.
        chance: Makes the ids of streams.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        peers: AppPeers,
        host: Host,
        *,
        own: AppAddresses,
        writer: Callable[[], ItemWriter | None],
        chance: Chance,
    ) -> None:
        made: list[ItemWriter | None] = []

        def own_writer() -> ItemWriter | None:
            if not made:
                made.append(writer())
            return made[0]

        def forget(instance_id: str) -> None:
            if made and made[0] is not None:
                made[0].forget(instance_id)

        self._gate = WorkerGate(dispatcher, peers, chance)
        self._entries = WorkerEntries(dispatcher, peers, writer=own_writer, chance=chance)
        gate = self._gate
        self._answers = WorkerAnswers(
            dispatcher, peers, host, own=own, giver_of=gate.giver_of, still_gives=gate.still_gives, forget=forget
        )

    def connect(self, worker: Worker) -> AbstractAsyncContextManager[Stream]:
        """Connect a worker for as long as the context lasts; as `Dispatcher.connect`."""
        return self._gate.connect(worker)

    async def complete_workflow(self, answer: WorkflowAnswer) -> None:
        """Take the answer to a turn, of an instance of any host; as `WorkerAnswers.complete_workflow`."""
        await self._answers.complete_workflow(answer)

    async def complete_activity(self, answer: ActivityAnswer) -> None:
        """Take the result of an activity, of an instance of any host; as `WorkerAnswers.complete_activity`."""
        await self._answers.complete_activity(answer)

    def leave(self) -> None:
        """Give no more jobs to the workers of this host, which ends soon; as `WorkerGate.leave`."""
        self._gate.leave()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Talk with the other hosts of workers, until cancelled."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._entries.run)
            await tasks.start(self._answers.run)
            task_status.started()
