"""Starting a child whose id the workflow's code chose.

Such an id may belong to somebody else: to one that runs, and then the child's
task fails; or to one that is finished, and then its descendants have to be
looked at. That takes several reads, so it is done here and not in a turn. The
parent counts the child as unconfirmed until it is told, so a crash in between
begins it again.
"""

import logging
from collections.abc import Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ...actors.address import Address
from ...actors.errors import HostLost, HostStopping, HostUnreachable, MailboxFull, NotOwner, PerdureError
from ...actors.store.errors import StoreError
from ..history.event import Parent
from ..history.failure import failure_of
from ..history.status import Status
from ..instance.message import ChildDone, ChildStarted, Start, workflow_address
from .facade import Facade

logger = logging.getLogger(__name__)

RETRY_S = 1.0  # after a store or a mailbox that did not take the start


class ChildStarter:
    """Starts named children, each in a task that lasts until it is done."""

    def __init__(self, facade: Facade, *, send: Callable[[Address, Any], None]) -> None:
        self._facade = facade
        self._send = send
        self._busy: set[tuple[Address, Parent]] = set()
        self._tasks: TaskGroup | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            await anyio.sleep_forever()

    def receive(self, address: Address, start: Start) -> None:
        """Take a message: start this child."""
        assert start.parent is not None
        assert self._tasks is not None
        # Two tasks may ask for the same id; each gets its own answer.
        if (address, start.parent) not in self._busy:
            self._busy.add((address, start.parent))
            self._tasks.start_soon(self._start, address, start, start.parent)

    async def _start(self, address: Address, start: Start, parent: Parent) -> None:
        try:
            answer = await self._answer(address, start, parent)
        finally:
            self._busy.discard((address, parent))
        self._send(workflow_address(parent.instance_id), answer)

    async def _answer(self, address: Address, start: Start, parent: Parent) -> ChildStarted | ChildDone:
        while True:
            try:
                await self._facade.request_start(address.id, start)
            except (StoreError, MailboxFull, HostStopping, HostUnreachable, HostLost, NotOwner):
                await anyio.sleep(RETRY_S)
            except Exception as error:
                if not isinstance(error, PerdureError):
                    logger.exception("child %s could not be started", address)
                return ChildDone(parent.execution_id, parent.task_id, Status.FAILED.value, None, failure_of(error))
            else:
                return ChildStarted(parent.execution_id, parent.task_id)
