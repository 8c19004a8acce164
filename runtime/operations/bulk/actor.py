"""The actor of a bulk operation: it holds the operation's progress, and whether it goes on.

The rule: the runner sends requests to instances, and reports to the actor after each step. After a restart the
operation goes on from the progress that the actor has committed. Its log holds the errors of single instances.

`runner.py` gets each operation that is to run, also after a restart.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import msgpack

from ....actors.address import Address
from ....actors.store.audit import AuditRow
from ....actors.store.contract import Inspection, Stored
from ....actors.store.listing import Facets
from ....actors.turn import Envelope, Recover, Turn
from ...directory import OPERATION, AppAddresses
from ...errors import Advice, Advised, RequestRefused
from ...history.attribution import By
from ...history.audit import AuditAction, audit_entry, row_of
from ...history.row import CorruptHistory
from .operation import BulkOperation, ItemError, OperationProgress, OperationState, unpack_operation

AUDIT = UUID("c0a7c5c2-9f0e-5b7e-8f43-2b6e7a5a1d90")  # of the ids of rows for the audit
ERRORS_MAX = 1_000  # that an operation keeps; the others are only counted


def operation_address(operation_id: str) -> Address:
    """The address of an operation of a store's first app."""
    return Address(OPERATION, operation_id)


class Begin(NamedTuple):
    """Begin an operation. Answered with OperationStatus; for one that has begun already, with its present status."""

    operation: BulkOperation


class Advance(NamedTuple):
    """A step has been made. Answered with OperationStatus; a step that has been counted is not counted again."""

    step: OperationProgress  # its counts, the position behind it, and how many steps came before it
    errors: Sequence[ItemError]
    last: bool  # there is nothing behind it


class Cancel(NamedTuple):
    """End the operation after its present step. Answered with OperationStatus."""

    by: By


class Look(NamedTuple):
    """Answered with OperationStatus."""


class Forget(NamedTuple):
    """Forget an operation that has ended. Answered with whether it was forgotten."""


class RunOperation(NamedTuple):
    """Run the operation from where it is. Sent to the runner after the commit; no answer."""

    operation: BulkOperation


class OperationStatus(NamedTuple):
    """An operation as last committed."""

    id: str
    operation: BulkOperation
    errors: Sequence[ItemError]  # the first ERRORS_MAX


class OperationNotFound(Advised, RequestRefused):
    """There is no such operation."""

    def __init__(self, operation_id: str) -> None:
        super().__init__(operation_id)
        self.operation_id = operation_id

    def parts(self) -> tuple[str, Advice]:
        return f"there is no operation {self.operation_id!r}.", Advice.LIST_OPERATIONS


class OperationActorType:
    """Makes the actors of operations.

    Args:
        own: The addresses of their app; None: it is the only one.
    """

    def __init__(self, own: AppAddresses | None = None) -> None:
        self._own = own or AppAddresses()
        self.in_memory = 0  # how many actors there are now

    def purges(self, body: Any) -> bool:
        """Whether a message deletes the actor."""
        return isinstance(body, Forget)

    def facets(self, outside: Inspection) -> Facets | None:
        """The facets of a stored operation; lists have them from its beginning."""
        try:
            return unpack_operation(outside.record).facets()
        except CorruptHistory:
            return None

    def purge_audit(self, address: Address, body: Any, now_us: int) -> Sequence[AuditRow]:
        """No rows for an operation that cannot be read: its instances have rows of their own."""
        return ()

    def activate(self, address: Address, stored: Stored | None) -> "OperationActor":
        """Build the actor of an operation that is stored, or of one that is to begin."""
        operation: BulkOperation | None = None
        errors: list[ItemError] = []
        if stored is not None:
            operation = unpack_operation(stored.record)
            errors = [ItemError(*error) for entry in stored.entries for error in msgpack.unpackb(entry)]
        self.in_memory += 1
        return OperationActor(address.id, operation, errors, runner=self._own.operation_run, closed=self._closed)

    def _closed(self) -> None:
        self.in_memory -= 1


class OperationActor:
    """An operation.

    Args:
        operation: As stored; None: not begun.
        errors: Of single instances, as stored.
        runner: The type of the address of its runner.
        closed: Called when it leaves memory.
    """

    was_stalled = False
    log_fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        operation_id: str,
        operation: BulkOperation | None,
        errors: list[ItemError],
        *,
        runner: str,
        closed: Callable[[], None],
    ) -> None:
        self._id = operation_id
        self._runner = runner
        self._operation = operation
        self._errors = errors
        self._closed = closed

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        """Take the messages one by one; write the operation if it has changed."""
        turn = Turn()
        before, errors_before = self._operation, len(self._errors)
        for envelope in envelopes:
            answer = self._receive(envelope.body, turn, now_us)
            if envelope.reply is not None:
                turn.replies.append((envelope.reply, answer))
        if self._operation is not before and self._operation is not None:
            turn.record = self._operation.pack()
            turn.facets = self._operation.facets()
        if len(self._errors) > errors_before:
            turn.entry = msgpack.packb(self._errors[errors_before:])
        turn.busy = self._operation is not None and self._operation.state is OperationState.RUNNING
        turn.quiet = not turn.busy
        return turn

    def close(self) -> None:
        """Leave memory."""
        self._closed()

    def _receive(self, body: Any, turn: Turn, now_us: int) -> Any:
        """Take a message and give its answer."""
        if isinstance(body, Begin):
            if self._operation is None:
                self._operation = body.operation
                self._run(turn)
                self._tell(turn, body.operation.by, "begun", now_us)
            return self._status()
        operation = self._operation
        if operation is None:
            return False if isinstance(body, Forget) else OperationNotFound(self._id)
        running = operation.state is OperationState.RUNNING
        if isinstance(body, Recover) and running:
            self._run(turn)
        elif isinstance(body, Advance):
            self._advance(operation, body, now_us)
        elif isinstance(body, Cancel) and running:
            self._end(operation, OperationState.CANCELED, now_us)
            self._tell(turn, body.by, "cancelled", now_us)
        elif isinstance(body, Forget):
            turn.delete = not running
            if turn.delete:
                self._operation, self._errors = None, []
            return turn.delete
        return self._status()

    def _advance(self, operation: BulkOperation, advance: Advance, now_us: int) -> None:
        """Count a step. One that ends after the operation was cancelled counts too."""
        if advance.step.steps != operation.progress.steps:
            return
        progress = operation.progress.plus(advance.step)
        self._operation = operation._replace(progress=progress, updated_us=now_us)
        self._errors += islice(advance.errors, max(0, ERRORS_MAX - len(self._errors)))
        if advance.last and operation.state is OperationState.RUNNING:
            self._end(self._operation, OperationState.COMPLETED, now_us)

    def _end(self, operation: BulkOperation, state: OperationState, now_us: int) -> None:
        self._operation = operation._replace(state=state, updated_us=now_us, ended_us=now_us)

    def _run(self, turn: Turn) -> None:
        assert self._operation is not None
        turn.messages.append((Address(self._runner, self._id), RunOperation(self._operation)))

    def _tell(self, turn: Turn, by: By, what: str, now_us: int) -> None:
        """Write a row for the audit."""
        operation = self._operation
        assert operation is not None
        detail = f"{what}: {operation.action.value} {operation.matches}{' or more' if operation.more else ''} instances"
        entry = audit_entry(
            by._replace(operation=self._id),
            AuditAction.BULK,
            id=uuid5(AUDIT, f"{self._id}/{what}").hex,
            at_us=now_us,
            instance_id=self._id,
            execution_id=None,
            detail=detail,
        )
        turn.audit = (*turn.audit, row_of(entry))

    def _status(self) -> OperationStatus:
        assert self._operation is not None
        return OperationStatus(self._id, self._operation, tuple(self._errors))
