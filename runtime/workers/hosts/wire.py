"""The messages of hosts about workers: the streams that end at them, items for those, and answers of the workers.

The rule: a message has all facts of a stream, and all streams of a host together with a number that only grows, so that
a late or repeated message changes nothing.

`gate.py` and `entries.py` are the two ends for streams and items, `answers.py` is both for answers.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from ....actors.cluster.method import HostMethod
from ...execution.crossing import PackedContinuation, commands_of, pack_continued, unpack_continued
from ...history.row import RowPacker, unpack_row
from ...instance.message import WorkflowAnswer
from ..items import ActivityAnswer, PassedItem


class StreamCard(NamedTuple):
    """A stream, as its host announces it to another one."""

    id: str
    peer: str
    agent: str
    stateful: bool
    activities: int  # that the other host may have there at once
    turns: int


class StreamList(NamedTuple):
    """The streams that end at a host now."""

    number: int  # of the list; one with a smaller number is older
    cards: Sequence[StreamCard]


class Verdict(IntEnum):
    """The verdict of an instance's owner on a worker's answer. The numbers are on the wire."""

    TAKEN = 0  # or void: an answer to a job that was dispatched again
    UNKNOWN = 1  # it has no such job
    ELSEWHERE = 2  # it does not have the instance, or not yet: ask again


class TurnAnswerForm(NamedTuple):
    """A worker's answer to a turn, as it crosses."""

    instance_id: str
    token: str
    commands: bytes  # a row
    continued: PackedContinuation | None
    custom_status: str | None
    patches: tuple[str, ...]
    version: str | None
    version_missing: bool

    @classmethod
    def of(cls, answer: WorkflowAnswer) -> "TurnAnswerForm":
        """Give an answer this form."""
        return cls(
            answer.instance_id,
            answer.token,
            RowPacker().pack(0, answer.commands, ()),
            pack_continued(answer.continued),
            answer.custom_status,
            answer.patches,
            answer.version,
            answer.version_missing,
        )

    def value(self) -> WorkflowAnswer:
        """The answer again.

        Raises:
            CorruptHistory: Its events cannot be read.
        """
        return WorkflowAnswer(
            self.instance_id,
            self.token,
            commands_of(unpack_row(self.commands).turn),
            unpack_continued(self.continued),
            self.custom_status,
            self.patches,
            self.version,
            self.version_missing,
        )


# Takes the name of the asking host; returns the streams that end at the other one.
STREAMS = HostMethod("workers.streams", (str,), StreamList)
# Takes the name of the announcing host: its streams have changed.
CHANGED = HostMethod("workers.changed", (str, StreamList), None)
# Takes the name of the host that has the instances, and items for a stream: its id, the lease, the number of the
# delivery. Returns whether the stream exists, as soon as there is room for more.
ITEMS = HostMethod("workers.items", (str, str, str, int, Sequence[PassedItem]), bool)
TURN_ANSWER = HostMethod("workers.turn-answer", (TurnAnswerForm,), int)  # a Verdict
ACTIVITY_ANSWER = HostMethod("workers.activity-answer", (ActivityAnswer,), int)
