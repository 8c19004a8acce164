"""E13 and E1: answers of one instance are those of some order of its commits, and a client reads its own writes.

`Versions` keeps what each commit has made of an instance, in their order, which is the order of its states. A request
is answered between two moments, so its answer must be that of a version that was the newest at some time in between.

The newest version is the newest that the host knows: from the moment when a commit is on the disk to the moment when
its host learns of it, the host answers as if the commit took a little longer. A host that begins knows all versions.

If a server has lost commits, the state of its copy is a further version, and the hosts may answer for STALE_S with what
they knew.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple

from perdure import Status, WorkflowState
from perdure.actors.store.contract import Write
from perdure.actors.turn import Turn
from perdure.runtime.history.event import Event
from perdure.runtime.history.record import unpack_record
from perdure.runtime.history.status import SET_ASIDE

from .broken import Broken

# A host without a beat answers nothing that is older.
STALE_S = 1.5
# Stands for the time of the newest row at a door without it: the management API has the time when the status, the
# custom status or the generation has changed last.
UNTOLD_US = -1


class Version(NamedTuple):
    """An instance after a commit."""

    status: Status
    execution_id: str
    custom_status: str | None
    updated_us: int  # of its newest row; Unix time, microseconds
    set_aside: bool

    @property
    def word(self) -> str:
        """The word for its status in lists and counts."""
        return SET_ASIDE if self.set_aside and not self.status.terminal else self.status.name


class Unheard(NamedTuple):
    """A version that its host does not know yet."""

    number: int
    turn: Turn | None  # that has made it; None: it is a further write of the turn before, or changes nothing to be read
    life: int


class VersionsKept(NamedTuple):
    """The newest version of each instance at some moment."""

    numbers: Mapping[str, int]


class Versions:
    """The versions of the instances of a world; None: no instance has the id.

    Args:
        writer: Gives the number of the life whose commit is reported now.
        is_over: Whether a life is over.
        now_s: The virtual time.

    Attributes:
        raised: Every payload of an event that a commit has put into a history, with its instance.
        steered: How often an instance was suspended or resumed; of a turn that does both a version tells the last.
    """

    def __init__(self, writer: Callable[[], int], is_over: Callable[[int], bool], now_s: Callable[[], float]) -> None:
        self._writer = writer
        self._now_s = now_s
        self._is_over = is_over
        self._of: dict[str, list[Version | None]] = {}
        self._began_s: dict[tuple[str, int], float] = {}  # by id and number, since when a version was the newest
        self._unheard: dict[str, deque[Unheard]] = {}
        self._of_turn: dict[int, str] = {}  # the instances of the turns in these, by the turn's id
        self._lost: dict[str, list[Version | None]] = {}  # the newest ones that the server has lost
        self._lost_s = -inf  # when
        self.raised: set[tuple[str, str]] = set()
        self.steered: Counter[tuple[str, type[Event]]] = Counter()

    def __len__(self) -> int:
        """How many instances there were."""
        return len(self._of)

    def committed(self, write: Write, turn: Turn | None) -> None:
        """Take note of a write that is on the disk, and of the turn that has made it, if that is known."""
        versions = self._of.setdefault(write.address.id, [None])
        self._add(write, versions)
        self._began_s.setdefault((write.address.id, len(versions) - 1), self._now_s())
        unheard = self._unheard.setdefault(write.address.id, deque())
        unheard.append(Unheard(len(versions) - 1, turn, self._writer()))
        if turn is not None:
            self._of_turn[id(turn)] = write.address.id

    def heard(self, turn: Turn) -> None:
        """Note that a host knows that the commit of a turn is on the disk."""
        id_ = self._of_turn.pop(id(turn), None)
        if id_ is None:
            return
        unheard = self._unheard[id_]
        while unheard and self._pop(unheard).turn is not turn:
            pass
        while unheard and unheard[0].turn is None:
            unheard.popleft()

    def _pop(self, unheard: deque[Unheard]) -> Unheard:
        first = unheard.popleft()
        self._of_turn.pop(id(first.turn), None)
        return first

    def _add(self, write: Write, versions: list[Version | None]) -> None:
        if write.delete:
            versions.append(None)
            return
        before = versions[-1]
        updated_us = (
            write.at_us if write.entry is not None else 0 if write.reset or before is None else before.updated_us
        )
        if write.record is not None:
            record = unpack_record(write.record)
            aside = record.set_aside is not None
            versions.append(Version(record.status, record.execution_id, record.custom_status, updated_us, aside))
        elif before is not None:
            versions.append(before._replace(updated_us=updated_us))

    def kept(self) -> VersionsKept:
        """The present versions, to go back to."""
        return VersionsKept({id_: len(versions) - 1 for id_, versions in self._of.items()})

    def go_back(self, kept: VersionsKept) -> None:
        """Note that the server has lost all later versions."""
        self._lost_s = self._now_s()
        for id_, versions in self._of.items():
            self._lost[id_] = versions[(number := kept.numbers.get(id_, 0)) + 1 :]
            versions.append(versions[number])
            self._began_s[id_, len(versions) - 1] = self._lost_s
        self._unheard.clear()
        self._of_turn.clear()

    def now(self, id_: str) -> int:
        """The number of the newest version of an instance that its host knows, for `since`."""
        unheard = self._unheard.get(id_, deque())
        while unheard and self._is_over(unheard[0].life):
            self._pop(unheard)
        if unheard:
            return unheard[0].number - 1
        return len(self._of.get(id_, (None,))) - 1

    def ids(self) -> list[str]:
        """All instances that there were."""
        return list(self._of)

    def all_now(self) -> dict[str, int]:
        """`now` of all instances; an instance that is not in it does not exist yet, which is its version 0."""
        return {id_: self.now(id_) for id_ in self._of}

    def newest(self, id_: str) -> Version | None:
        return self._of.get(id_, [None])[-1]

    def since(self, id_: str, number: int) -> list[Version | None]:
        """The version that was the newest at that time, and all later ones."""
        lost = self._lost.get(id_, ()) if self._now_s() - self._lost_s <= STALE_S else ()
        return [*lost, *self._of.get(id_, [None])[number:]]

    def check_read(self, id_: str, since: int, found: WorkflowState | None) -> None:
        """Check an answer to a client about an instance.

        Args:
            since: The newest version at the request of the client.

        Raises:
            Broken: E13; I5, if that was so long ago that a host has answered without a beat.
        """
        could_be = self.since(id_, since)
        read: Version | None = None
        if found is not None:
            details = found.details
            read = Version(
                details.status, details.execution_id, details.custom_status, details.updated_us, details.set_aside
            )
            if details.updated_us == UNTOLD_US:
                could_be = [each._replace(updated_us=UNTOLD_US) if each is not None else None for each in could_be]
        if read not in could_be:
            told = found.status.name if found is not None else "not there"
            were = ", ".join(each.status.name if each is not None else "not there" for each in could_be[-5:])
            invariant = "I5" if self._was(id_, read, since) else "E13"
            raise Broken(invariant, f"{id_} is {told} for a client, and was none of that while it asked: {were}")

    def _was(self, id_: str, read: Version | None, since: int) -> bool:
        """Whether an instance was in this state once, and has been in another one for longer than STALE_S."""
        before = self._of.get(id_, [])[:since]
        if read is None or read not in before:
            return False
        last = since - 1 - before[::-1].index(read)
        return self._now_s() - self._began_s[id_, last + 1] > STALE_S

    def check_done(self, what: str, id_: str, since: int, done: Callable[[Version | None], bool]) -> None:
        """Check that a change that was acknowledged to a client is on the disk.

        Args:
            since: The newest version when the client asked.
            done: Whether a version has it.

        Raises:
            Broken: E13.
        """
        could_be = self.since(id_, since)
        if not any(map(done, could_be)):
            were = ", ".join(each.status.name if each is not None else "not there" for each in could_be[-5:])
            raise Broken("E13", f"{what} {id_} was acknowledged, and is not on the disk: {were}")
