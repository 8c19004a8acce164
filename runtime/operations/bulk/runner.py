"""The runner of bulk operations: it sends requests to one instance after the other, at the operation's pace.

The rule: a step is reported to the operation's actor after all instances of the step have answered. So after a crash
the last step may be repeated, and no instance is left out; an action has no effect on an instance that has had it.

The engine routes operations that are to run here. `actor.py` stores their progress.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import anyio

from ....actors.address import Address
from ....actors.errors import HostLost, HostStopping, HostUnreachable, MailboxFull, NotOwner, PerdureError
from ....actors.store.errors import StoreDamaged, StoreError
from ....actors.text import text_of, type_name
from ....actors.waiting.attendance import Attendance
from ....journal.journal import Journal
from ....journal.vocabulary import OPERATION_STANDS
from ...directory import AppAddresses
from .actor import Advance, OperationStatus, RunOperation
from .operation import BulkOperation, ItemError, OperationProgress, OperationState
from .pace import Pace

RETRY_S = 1.0  # the pause after a store, a host or a mailbox has refused a request


class Skipped(PerdureError):
    """The instance no longer fits the operation's filter, does not exist, or is in the wanted state already."""


class Matching(NamedTuple):
    """A page of the ids of instances that a selection fits."""

    ids: tuple[str, ...]
    cursor: str | None  # None: the last page


class Instances(Protocol):
    """The instances, as the runner uses them."""

    async def matching(self, operation: BulkOperation, *, cursor: str | None, limit: int) -> Matching:
        """List ids of instances that the operation's selection fits, in the order in which they were created."""
        ...

    async def act(self, operation_id: str, operation: BulkOperation, instance_id: str) -> None:
        """Do the action to one instance, if the selection still fits it.

        Raises:
            Skipped: It does not fit any more, or the action has changed nothing.
            PerdureError: The action is refused.
        """
        ...


class BulkRunner(Attendance):
    """Runs operations, each in a task of its own.

    Args:
        own: The addresses of the app of the operations; None: it is the only one.
        ask: Sends a message to an actor and gives its answer (`Host.ask`).
        journal: The engine's.
    """

    STEP_S = 0.2  # a step is as many instances as the operation's pace allows in this time
    AT_ONCE = 64  # instances that are asked at the same time

    def __init__(
        self,
        instances: Instances,
        *,
        own: AppAddresses | None = None,
        ask: Callable[[Address, Any], Awaitable[Any]],
        journal: Journal | None = None,
    ) -> None:
        super().__init__()
        self._journal = (journal or Journal()).at(__name__)
        self._instances = instances
        self._own = own or AppAddresses()
        self._ask = ask
        self._running: set[str] = set()

    def receive(self, address: Address, message: RunOperation) -> None:
        """Run an operation; do nothing if it runs already."""
        if address.id not in self._running:
            self._running.add(address.id)
            self._attend(address.id, self._run, address.id, message.operation)

    async def _run(self, operation_id: str, operation: BulkOperation) -> None:
        try:
            pace = Pace(operation.rate)
            while operation.state is OperationState.RUNNING:
                began_s = anyio.current_time()
                advance, answers_s = await self._step(operation_id, operation, pace.step_of(self.STEP_S))
                operation = await self._tell(operation_id, advance)
                asked = advance.step.done + advance.step.failed + advance.step.skipped
                took_s = anyio.current_time() - began_s
                await anyio.sleep(pace.rest_after(asked=asked, took_s=took_s, answers_s=answers_s))
        except HostStopping:
            return  # it goes on after the restart
        except PerdureError as error:
            # Its actor is damaged, or another release wrote it. Its mark keeps it for the next start.
            self._stand(operation_id, error)
        except Exception as error:
            self._stand(operation_id, error, exc_info=error)
        finally:
            self._running.discard(operation_id)

    def _stand(self, operation_id: str, error: Exception, *, exc_info: Exception | None = None) -> None:
        """Log that an operation does not go on."""
        self._journal.write(
            OPERATION_STANDS,
            operation_id=operation_id,
            reason=text_of(error),
            error_type=type_name(error),
            exc_info=exc_info,
        )

    async def _step(self, operation_id: str, operation: BulkOperation, limit: int) -> tuple[Advance, list[float]]:
        """Do the action to the next instances.

        Returns:
            The outcome of each, and how many seconds it took.
        """
        page: Matching = await _persistently(
            lambda: self._instances.matching(operation, cursor=operation.progress.cursor, limit=limit)
        )
        outcomes: dict[str, PerdureError | None] = {}
        room = anyio.CapacityLimiter(self.AT_ONCE)
        answers_s: list[float] = []

        async def act(instance_id: str) -> None:
            async with room:
                began_s = anyio.current_time()
                try:
                    await _persistently(lambda: self._instances.act(operation_id, operation, instance_id))
                    outcomes[instance_id] = None
                except PerdureError as error:
                    outcomes[instance_id] = error
                answers_s.append(anyio.current_time() - began_s)

        async with anyio.create_task_group() as tasks:
            for instance_id in page.ids:
                tasks.start_soon(act, instance_id)
        if stopping := next((error for error in outcomes.values() if isinstance(error, HostStopping)), None):
            raise stopping
        errors = [
            ItemError(id_, str(error))
            for id_, error in outcomes.items()
            if error is not None and not isinstance(error, Skipped)
        ]
        skipped = sum(isinstance(error, Skipped) for error in outcomes.values())
        done = len(outcomes) - len(errors) - skipped
        step = OperationProgress(page.cursor, done, len(errors), skipped, operation.progress.steps)
        return Advance(step, errors, last=page.cursor is None), answers_s

    async def _tell(self, operation_id: str, advance: Advance) -> BulkOperation:
        status: OperationStatus = await _persistently(
            lambda: self._ask(Address(self._own.operation, operation_id), advance)
        )
        return status.operation


async def _persistently(act: Callable[[], Awaitable[Any]]) -> Any:
    """Do something, repeatedly while a store, a host or a mailbox refuses it.

    Raises:
        HostStopping: It cannot be done any more in this process.
        PerdureError: It is refused.
    """
    while True:
        try:
            return await act()
        except StoreDamaged:
            raise
        except (StoreError, MailboxFull, HostUnreachable, HostLost, NotOwner):
            await anyio.sleep(RETRY_S)
