"""The words of workflows: the messages, answers and errors of this layer that hosts of a daemon send each other.

The rule: a word never changes its meaning, and a message gets new fields at its end, with defaults. Histories and
records cross in the form in which they reach the disk.

`runtime/engine.py` gives them to the peers of its host. Messages that a host sends itself only (the work of activities
and of workers, and the host's own messages to its actors) have no word, so that no other host can send it.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from ..actors.cluster.vocabulary import Vocabulary, WireWord, errors_in
from ..actors.errors import PerdureError
from . import errors
from .execution.crossing import PackedContinuation, commands_of, pack_continued, unpack_continued
from .history.attribution import By
from .history.event import Arrival, Event
from .history.record import unpack_record
from .history.row import CorruptHistory, RowPacker, split, unpack_row
from .instance.message import (
    ActivityDone,
    Check,
    ChildDone,
    ChildStarted,
    Continue,
    EventsTaken,
    Import,
    Invoke,
    Purge,
    RaiseEvent,
    ReleaseAside,
    RemoteAnswer,
    Repair,
    Resume,
    Start,
    StartCopy,
    Suspend,
    Terminate,
    TryAgain,
    Withdraw,
    WorkflowAnswer,
    WorkflowTurnWork,
)
from .operations.bulk.actor import Advance, Begin, Cancel, Forget, Look, OperationNotFound, OperationStatus
from .state.message import ChangeItems, ExpireItems, ItemsChanged
from .workers.mark import Remember


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary of hosts whose actors are workflows. It never changes, and takes long to make."""
    return Vocabulary(words(), errors_of_workflows())


def errors_of_workflows() -> Sequence[type[PerdureError]]:
    """The errors that actors and methods of this layer raise at other hosts."""
    return [*errors_in(errors), CorruptHistory, OperationNotFound]


def words() -> Sequence[WireWord]:
    """The words of this layer."""
    return (
        WireWord("start", Start),
        WireWord("call", Invoke),  # an activity of another app; an app requests its own activities without a word
        WireWord("withdraw", Withdraw),
        WireWord("event", RaiseEvent),
        WireWord("suspend", Suspend),
        WireWord("resume", Resume),
        WireWord("terminate", Terminate),
        WireWord("purge", Purge),
        WireWord("check", Check),
        WireWord("release", ReleaseAside),
        WireWord("repair", Repair),
        WireWord("continue", Continue),
        WireWord("try-again", TryAgain),
        WireWord("activity-done", ActivityDone),
        WireWord("child-started", ChildStarted),
        WireWord("child-done", ChildDone),
        WireWord("events-taken", EventsTaken),
        WireWord("remote-answer", RemoteAnswer, RemoteAnswerForm, RemoteAnswerForm.of, RemoteAnswerForm.value),
        WireWord("start-copy", StartCopy, StartCopyForm, StartCopyForm.of, StartCopyForm.value),
        WireWord("import", Import, ImportForm, ImportForm.of, ImportForm.value),
        WireWord("worker-connected", Remember, bool, lambda _: True, lambda _: Remember()),
        WireWord("operation-begin", Begin),
        WireWord("operation-advance", Advance),
        WireWord("operation-cancel", Cancel),
        WireWord("operation-look", Look),
        WireWord("operation-forget", Forget),
        WireWord("operation", OperationStatus),
        WireWord("change-items", ChangeItems),
        WireWord("expire-items", ExpireItems),
        WireWord("items-changed", ItemsChanged),
    )


class RemoteAnswerForm(NamedTuple):
    """A RemoteAnswer as it crosses: without the history that the worker had, which its instance has too."""

    instance_id: str
    execution_id: str
    name: str
    position: int
    at_us: int
    propagated: bytes | None
    events: bytes  # a row: the commands of the worker, and the held events that the turn was fed
    token: str
    continued: PackedContinuation | None
    custom_status: str | None
    patches: tuple[str, ...]
    version: str | None
    version_missing: bool

    @classmethod
    def of(cls, message: RemoteAnswer) -> "RemoteAnswerForm":
        """Give a message this form."""
        work, answer = message
        return cls(
            work.instance_id,
            work.execution_id,
            work.name,
            work.position,
            work.at_us,
            work.propagated,
            RowPacker().pack(0, answer.commands, work.fed),
            answer.token,
            pack_continued(answer.continued),
            answer.custom_status,
            answer.patches,
            answer.version,
            answer.version_missing,
        )

    def value(self) -> RemoteAnswer:
        """The message again.

        Raises:
            CorruptHistory: Its events cannot be read.
        """
        row = unpack_row(self.events)
        work = WorkflowTurnWork(
            self.instance_id,
            self.execution_id,
            self.name,
            (),
            self.position,
            (),
            _arrivals(row.held),
            self.at_us,
            self.propagated,
        )
        answer = WorkflowAnswer(
            self.instance_id,
            self.token,
            commands_of(row.turn),
            unpack_continued(self.continued),
            self.custom_status,
            self.patches,
            self.version,
            self.version_missing,
        )
        return RemoteAnswer(work, answer)


class StartCopyForm(NamedTuple):
    """A StartCopy as it crosses."""

    record: bytes
    rows: Sequence[bytes]
    sent: bytes  # a row of commands
    source_id: str | None
    by: By | None

    @classmethod
    def of(cls, message: StartCopy) -> "StartCopyForm":
        """Give a message this form."""
        packer = RowPacker()
        rows = [packer.pack(*row) for row in message.rows]
        return cls(message.record.pack(), rows, packer.pack(0, message.sent, ()), message.source_id, message.by)

    def value(self) -> StartCopy:
        """The message again.

        Raises:
            CorruptHistory: Its record or its rows cannot be read.
        """
        rows = [unpack_row(row) for row in self.rows]
        sent = commands_of(unpack_row(self.sent).turn)
        return StartCopy(unpack_record(self.record), rows, sent, self.source_id, self.by)


class ImportForm(NamedTuple):
    """An Import as it crosses."""

    record: bytes
    entries: Sequence[bytes]
    changed_us: int
    by: By | None

    @classmethod
    def of(cls, message: Import) -> "ImportForm":
        """Give a message this form."""
        return cls(message.record.pack(), message.entries, message.changed_us, message.by)

    def value(self) -> Import:
        """The message again.

        Raises:
            CorruptHistory: Its record cannot be read.
        """
        return Import(unpack_record(self.record), self.entries, self.changed_us, self.by)


def _arrivals(events: Sequence[Event]) -> list[Arrival]:
    """Events that a turn was fed.

    Raises:
        CorruptHistory: One is a command.
    """
    arrivals, commands = split(events)
    if commands:
        raise CorruptHistory("a turn cannot be fed with commands")
    return arrivals
