"""The reminders and the active mark that an instance must have in its store, as its record and history say.

The rule: only rows that must exist are expected. Only the execution of native code knows which timeouts of waits are
over, and a child that is not confirmed may have been confirmed since.

`perdure store check` compares the tables with it, because reminders and marks have no checksums.
"""

from ....actors.address import AT, Address
from ....actors.store.contract import Stored
from ...dates import END_OF_TIME_US
from ...directory import WORKFLOW
from ...history.row import CorruptHistory
from ...history.status import Status
from ...instance.actor import WorkflowActorType
from ...instance.surroundings import Surroundings


def timers_and_work(address: Address, stored: Stored) -> tuple[frozenset[tuple[str, int]], bool] | None:
    """Find the reminders and the mark that an actor must have.

    Returns:
        Its reminders, each with its name and due time (Unix time, microseconds), and whether it must have the active
        mark. None for an actor that is no instance, has ended, or cannot be read.
    """
    if address.type.partition(AT)[0] != WORKFLOW:
        return None
    try:
        actor = WorkflowActorType(Surroundings(None)).activate(address, stored)
    except CorruptHistory:
        return None  # it is stalled when it is loaded
    record = actor.record
    if record is None or record.status.terminal:
        return None
    waits = actor.open.waits if not record.remote else {}
    timers = {
        (str(timer_id), due_us)
        for timer_id, due_us in actor.open.timers.items()
        if due_us < END_OF_TIME_US and timer_id not in waits
    }
    stalled = record.status is Status.STALLED and record.set_aside is None
    return frozenset(timers), bool(actor.open.tasks or actor.outbox or stalled)
