"""Calls: activities of this app that instances of other apps request. Each is an actor until its answer has arrived.

The rule: the caller's commit holds the request, and the caller repeats it until a commit of the call holds it. From
then on the call has the activity performed, over restarts and moves, and repeats the answer until a commit of the
caller holds it. Then the call is deleted. If no host has the app, its callers wait, as in Dapr (contract 3.21).

A call has an id of its own among the instances of the app that performs it, so its activity runs where the instances of
that shard are. `runtime/instance/effects.py` sends the requests; `runtime/activities/actors.py` and the dispatcher of
the workers perform the activities.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from ...actors.address import Address
from ...actors.store.audit import AuditRow
from ...actors.store.contract import Inspection, Stored
from ...actors.store.listing import Facets
from ...actors.turn import Envelope, Recover, SetAside, Turn
from ..directory import AppAddresses
from ..history.failure import FailureDetails
from ..history.row import CorruptHistory
from ..instance.message import ActivityDone, Invoke, Withdraw

FORMAT = 1
ENDS_ITS_HOSTS = (
    "ActivityEndsItsHosts"  # the type of error of a call whose activity was under way at the ends of processes
)


class CallRecord(Struct, frozen=True, array_like=True):
    """A call as it reaches the disk. A new field goes to the end, and has a default."""

    format: int
    invoke: Invoke
    done: ActivityDone | None = None  # None: no answer yet


PACK = msgspec.msgpack.Encoder().encode
READ = msgspec.msgpack.Decoder(CallRecord).decode


class CallActorType:
    """Makes the calls of an app.

    Args:
        own: The addresses of the app that performs the activities.
    """

    def __init__(self, own: AppAddresses) -> None:
        self.own = own
        self.in_memory = 0  # how many there are now

    def purges(self, body: Any) -> bool:
        """Whether a message deletes the actor."""
        return isinstance(body, Withdraw)

    def purge_audit(self, address: Address, body: Any, now_us: int) -> Sequence[AuditRow]:
        """Nothing: the audit has the change of the calling instance."""
        return ()

    def facets(self, outside: Inspection) -> Facets | None:
        """None: calls are in no list."""
        return None

    def activate(self, address: Address, stored: Stored | None) -> "CallActor":
        """Build a call that is stored, or one that is to begin.

        Raises:
            CorruptHistory: This release cannot read it.
        """
        record: CallRecord | None = None
        if stored is not None:
            try:
                record = READ(stored.record)
            except msgspec.MsgspecError as error:
                raise CorruptHistory(f"a call cannot be read: {error}") from error
        self.in_memory += 1
        return CallActor(self, address.id, record)


class CallActor:
    """The actor of a call: an activity of this app that another app has requested."""

    was_stalled = False

    def __init__(self, kind: CallActorType, call_id: str, record: CallRecord | None) -> None:
        self._kind = kind
        self._id = call_id
        self._record = record

    @property
    def log_fields(self) -> Mapping[str, Any]:
        """The name of the activity, for records of the log."""
        invoke = self._record.invoke if self._record is not None else None
        return MappingProxyType({"activity": invoke.name} if invoke is not None else {})

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        """Take the messages one by one."""
        turn, before = Turn(), self._record
        for envelope in envelopes:
            self._receive(envelope.body, turn)
        record = self._record
        if record is not before and record is not None:
            turn.record = PACK(record)
        turn.busy = record is not None and record.done is None
        turn.quiet = not turn.busy
        turn.passing = record is not None and record.done is not None
        return turn

    def close(self) -> None:
        """Leave memory."""
        self._kind.in_memory -= 1

    def _receive(self, body: Any, turn: Turn) -> None:
        record = self._record
        if isinstance(body, Invoke):
            self._ask(body, turn)
        elif record is None:
            return  # it was withdrawn, or is over
        elif isinstance(body, Recover):
            self._perform(record.invoke, turn) if record.done is None else self._answer(record, turn)
        elif isinstance(body, ActivityDone):
            if record.done is None:
                self._record = CallRecord(FORMAT, record.invoke, body)
                self._answer(self._record, turn)
        elif isinstance(body, Withdraw):
            if record.done is None:
                # As the activities of this app are withdrawn, under the id of the call.
                turn.messages.append((Address(self._kind.own.withdraw, self._id), body._replace(instance_id=self._id)))
            self._record = None
            turn.delete = True
        elif isinstance(body, SetAside) and record.done is None:
            # Its activity has ended its hosts. The caller is of another app, and gets this like any other failure.
            invoke = record.invoke
            failure = FailureDetails(error_type=ENDS_ITS_HOSTS, message=body.reason, non_retriable=True)
            self._record = CallRecord(FORMAT, invoke, ActivityDone(invoke.execution_id, invoke.task_id, None, failure))
            self._answer(self._record, turn)

    def _ask(self, invoke: Invoke, turn: Turn) -> None:
        record = self._record
        if record is None:
            invoke = msgspec.structs.replace(invoke, call=self._id)
            self._record = CallRecord(FORMAT, msgspec.structs.replace(invoke, again=False))
            turn.delete = False
            self._perform(invoke, turn)
        elif record.done is not None:
            self._answer(record, turn)
        elif invoke.again:
            self._perform(msgspec.structs.replace(record.invoke, again=True), turn)

    def _perform(self, invoke: Invoke, turn: Turn) -> None:
        turn.messages.append((Address(self._kind.own.activity, self._id), invoke))

    def _answer(self, record: CallRecord, turn: Turn) -> None:
        assert record.done is not None
        invoke = record.invoke
        turn.messages.append((self._kind.own.of(invoke.caller).instance(invoke.instance_id), record.done))
