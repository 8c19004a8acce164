"""The records of a run under chaos: the commits in the database's log, the notes of clients, and the blows to hosts.

All times are Unix times in seconds, of one machine. `tests/whole/chaos/checker.py` judges them; `decoding.py`,
`load.py` and `storm.py` beside it make them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from ...support.processes.ledgers import Ledger


class WrittenRow(NamedTuple):
    """A row of the log."""

    key: int
    position: int  # epoch of the shard << 40 | a number that the owner counts


class Moved(NamedTuple):
    """A shard has another owner."""

    shard: int
    host: int
    epoch: int


class Joined(NamedTuple):
    """A host has entered the store."""

    host: int
    pid: int  # of its process


class Gone(NamedTuple):
    """The row of a host was deleted: it has left, or was killed."""

    host: int


class Created(NamedTuple):
    """An actor was written for the first time."""

    key: int
    shard: int
    id: str


Change = WrittenRow | Moved | Joined | Gone | Created


class Commit(NamedTuple):
    """A transaction; its changes are in the order in which they were written."""

    at_s: float
    changes: Sequence[Change]


class Deed(StrEnum):
    """The kinds of blows to a host, or to the database."""

    KILL = "kill"  # SIGKILL
    PAUSE = "pause"  # SIGSTOP, then SIGCONT
    STOP = "stop"  # SIGTERM, until its process had ended
    LINK = "link"  # packets from the database to it were held back, or those to the database, or both
    STUCK = "stuck"  # its event loop stood still
    DATABASE = "database"  # it did not run


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """A blow to a host, or to the database."""

    deed: Deed
    pid: int  # of the host; 0: the database
    from_s: float
    until_s: float  # a kill has the same time twice


class Request(NamedTuple):
    """A request that a client has sent, and its answer."""

    from_s: float
    until_s: float
    id: str  # of the instance
    answer: str  # "202"; or the name of an error
    refused: bool = False  # the answer is an error that the client did not expect


class Read(NamedTuple):
    """A client's read of an instance: how many entries it had booked."""

    from_s: float
    until_s: float
    id: str
    booked: int
    pid: int = 0  # of the host that was asked; 0: unknown


class Effect(NamedTuple):
    """An activity's body that ran."""

    id: str
    entry: int
    execution_id: str  # the stable key


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgiven:
    """Damage by a storm that is no fault of the run.

    Args:
        lost_at_s: When a copy took over that lacked some commits. Entries that were acknowledged before, and activities
            that were performed before, may be gone; they are counted.
        clocks: Whether clocks were set. Timers may seem early, by the clock of another host or of another time.
    """

    lost_at_s: float | None = None
    clocks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The records of a whole run.

    Args:
        commits: None: the log was not read.
        endings: The output of each ledger that has ended, by its id: `{"got": [...], "early": n}`.
    """

    commits: Sequence[Commit] | None = ()
    blows: Sequence[Blow] = ()
    ledgers: Sequence[Ledger] = ()
    endings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    requests: Sequence[Request] = ()
    reads: Sequence[Read] = ()
    effects: Sequence[Effect] = ()
    cuts: int = 0  # commits that were cut by the proxy
    forgiven: Forgiven = field(default_factory=Forgiven)
