"""Starts children whose ids the workflow's code has chosen.

The rule: the parent is answered exactly when the child exists or cannot be
started. Until then it counts the child as unconfirmed, so after a crash it
repeats the request.

Another instance may have the id. If that one runs, the child's task fails. If it
is finished, its descendants have to be read, which takes several reads and is
therefore done here and not in a turn. The engine routes starts of named children
here.
"""

from collections.abc import Callable
from typing import Any

import anyio

from ...actors.address import Address
from ...actors.errors import PerdureError
from ...actors.store.errors import SEND_AGAIN
from ...actors.text import type_name
from ...actors.waiting.attendance import Attendance
from ...journal.journal import Journal
from ...journal.vocabulary import CHILD_NOT_STARTED
from ..history.event import Parent
from ..history.failure import failure_of
from ..history.status import Status
from ..instance.message import ChildDone, ChildStarted, Start
from .facade import Facade

RETRY_S = 1.0  # the pause after a store or a mailbox has refused the start


class ChildStarter(Attendance):
    """Starts named children, each in a task that lasts until the parent has its answer.

    Args:
        facade: Starts the instances.
        send: Sends an answer to the parent.
        journal: Gets lines about children that cannot be started.
    """

    def __init__(self, facade: Facade, *, send: Callable[[Address, Any], None], journal: Journal | None = None) -> None:
        super().__init__()
        self._journal = (journal or Journal()).at(__name__)
        self._facade = facade
        self._send = send
        self._busy: set[tuple[Address, Parent]] = set()

    def receive(self, address: Address, start: Start) -> None:
        """Start a child, in a task.

        Args:
            address: Of the child.
            start: The start, with its parent.
        """
        assert start.parent is not None
        # Two tasks may start a child with the same id; each gets its own answer.
        if (address, start.parent) not in self._busy:
            self._busy.add((address, start.parent))
            self._attend(start.parent.instance_id, self._start, address, start, start.parent)

    async def _start(self, address: Address, start: Start, parent: Parent) -> None:
        try:
            answer = await self._answer(address, start, parent)
        finally:
            self._busy.discard((address, parent))
        self._send(self._facade.own.instance(parent.instance_id), answer)

    async def _answer(self, address: Address, start: Start, parent: Parent) -> ChildStarted | ChildDone:
        while True:
            try:
                await self._facade.request_start(address.id, start)
            except SEND_AGAIN:
                await anyio.sleep(RETRY_S)
            except Exception as error:
                # The parent may not wait for it, or have ended: then only this line reports it.
                ours = not isinstance(error, PerdureError)
                self._journal.write(
                    CHILD_NOT_STARTED,
                    exc_info=error if ours else None,
                    instance_id=parent.instance_id,
                    workflow=parent.name,
                    child=start.name,
                    child_id=address.id,
                    error_type=type_name(error),
                    reason=repr(error) if ours else str(error),
                )
                return ChildDone(parent.execution_id, parent.task_id, Status.FAILED.value, None, failure_of(error))
            else:
                return ChildStarted(parent.execution_id, parent.task_id)
