"""The committer: pipelined group commit.

The rule: no effect of a turn is visible before the commit that holds the turn.
While one group is being flushed, the next one fills. A later turn of an actor may
run on state whose commit is under way; if that commit fails, the later turn is
undone with it.

Two pauses make groups larger. A group of patient turns (`Turn.patient`) stays open
for PATIENCE_S. A group that has filled during a flush stays open for CATCH_UP_ROUNDS
of the event loop, so that the turns that follow from that flush join it. Where another process
does the commits, the group stays open only if this process had to wait for the commit:
otherwise both processes work at the same time.

`actors/hosting/turn_loop.py` adds turns, `actors/hosting/release.py` takes the groups that are durable.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

import anyio
import anyio.lowlevel
from msgspec import Struct
from msgspec.structs import replace

from ...journal.journal import Journal
from ...journal.vocabulary import COMMIT_FAILED, COMMIT_SLOW, COMMITS_AGAIN
from ..cluster.placement import Placement
from ..errors import PerdureError
from ..instruments import SYSTEM, Stopwatch
from ..store.contract import Store, Write
from ..store.errors import StoreError, StoreGone, as_store_error
from ..store.listing import Facets
from ..turn import Envelope, Turn
from ..waiting.signal import Signal
from .activation import Activation

# Called after a commit with two times in seconds: how long the store took, and how long ago its first turn was taken.
CommitWatch: TypeAlias = Callable[[float, float], None]


class TakenTurn(Struct, frozen=True):
    """A turn that was taken, its write, and the data that releasing or undoing it needs."""

    activation: Activation
    turn: Turn
    envelopes: Sequence[Envelope]
    write: Write | None
    creates: bool = False  # the store did not have the actor before
    facets_before: Facets | None = None  # of the actor, before this turn


class Committer:
    """Gathers turns into groups and commits one group after the other.

    Args:
        release: Called with the turns of a group, in order, once it is durable.
        undo: Called with all turns that are void, in order, and the error.
        journal: Logs commits that fail, and the first commit that succeeds again.
        stopwatch: Times commits, and the slices of turns.
    """

    # How long the store counts as failing after a failed commit. Without a limit, a host that gets no
    # more requests because it is unhealthy would never find out that its store works again.
    FAILING_S = 5.0
    # How long a group of patient turns stays open. Soon after an activity's result the workflow most often requests
    # its next activity, so that both turns share a commit.
    PATIENCE_S = 0.005
    # How many rounds of the event loop a group stays open for instances that the last commit has just released: in
    # the first round an activity runs, in the second its instance takes the next turn. Without these rounds, instances
    # in flight fall apart into two crowds that commit in turns, and each commit costs the same for half as many turns.
    CATCH_UP_ROUNDS = 3
    # Where another process does the commits, one crowd takes its turns while the other crowd is committed, and both
    # processes have work all the time. That is slower only if the commit takes longer than the turns: the two crowds
    # are made one again if no turn has come for this part of the commit's time.
    IDLE_PART = 0.5
    # A commit that takes longer is a line in the log.
    RECENT_MAX = 4096  # commits whose times are kept
    SLOW_S = 1.0

    def __init__(
        self,
        store: Store,
        placement: Placement,
        *,
        release: Callable[[Sequence[TakenTurn]], None],
        undo: Callable[[Sequence[TakenTurn], StoreError], None],
        journal: Journal | None = None,
        stopwatch: Stopwatch = SYSTEM.stopwatch,
    ) -> None:
        self.stopwatch = stopwatch
        self._store = store
        self._placement = placement
        self._release = release
        self._undo = undo
        self._journal = (journal or Journal()).at(__name__)
        self._failed = 0  # commits in a row
        self._filling: list[TakenTurn] = []
        self._flushing: list[TakenTurn] = []
        self._work = Signal()
        self._urgent = Signal()
        self._idle = Signal()
        self._failed_at: float | None = None  # by the event loop's clock
        self._last_s = (0.0, 0.0)  # begin and end of the last commit, by the stopwatch
        self.turn_over_s = 0.0  # when the last turn was over; the turn loop sets it
        self._settling: dict[Signal, None] = {}  # raised when a commit has ended; in the order of the waits
        self._lives = 0  # how often `abandon` was called
        self.commits = 0
        self.attempts = 0  # commits that have begun
        self.took_s: deque[float] = deque(maxlen=self.RECENT_MAX)  # the newest commits
        self.watch: CommitWatch | None = None  # called after each commit
        self._filling_s = 0.0  # when the filling group got its first turn
        self.under_way = False  # whether a commit has not ended; read by other threads, as `attempts` is

    def watch_with(self, watch: CommitWatch) -> None:
        """Call `watch` after each commit from now on."""
        self.watch = watch

    @property
    def failing(self) -> bool:
        """Whether the last commit failed, and not long ago."""
        return self._failed_at is not None and anyio.current_time() - self._failed_at < self.FAILING_S

    @property
    def idle(self) -> bool:
        """Whether no turn waits for its commit."""
        return not self._flushing and not self._filling

    def add(self, activation: Activation, turn: Turn, envelopes: Sequence[Envelope], now_us: int) -> None:
        """Put a turn into the group that is filling."""
        creates, facets_before = activation.key is None, activation.facets
        write = self._write(activation, turn, now_us)
        taken = TakenTurn(activation, turn, envelopes, write, creates, facets_before)
        activation.uncommitted += 1
        if write is None and activation.uncommitted == 1:
            # The turn changed nothing, and all that it saw is committed.
            self._release((taken,))
        else:
            if self.watch is not None and not self._filling:
                self._filling_s = self.stopwatch()
            self._filling.append(taken)
            self._work.set()
            # Most turns have a message: testing it first saves them the call of `patient`.
            if turn.messages or not turn.patient:
                self._urgent.set()

    def retire(self, activation: Activation, now_us: int) -> None:
        """Take away the active mark of an actor with nothing in flight; delete the actor if its turn asked for that."""
        assert activation.active
        assert not activation.in_flight
        assert activation.key is not None
        activation.active = False
        activation.uncommitted += 1
        write = Write(
            key=activation.key,
            address=activation.address,
            shard=activation.shard,
            at_us=now_us,
            active=None if activation.passing else False,
            delete=activation.passing,
        )
        if activation.passing:
            activation.key = activation.facets = None
        self._filling.append(TakenTurn(activation, Turn(), (), write))
        self._work.set()

    async def run(self) -> None:
        """Commit one group after the other, until cancelled."""
        while True:
            await self._work.wait()
            while self._filling:
                await self._urgent.wait_for(self.PATIENCE_S)
                await self._flush()
                if self._filling and self._stays_open():
                    for _ in range(self.CATCH_UP_ROUNDS):
                        await anyio.lowlevel.checkpoint()
            self._idle.set()

    def _stays_open(self) -> bool:
        """Whether the group that has filled during a commit waits for the turns that follow from this commit."""
        began_s, ended_s = self._last_s
        return not self._store.commits_elsewhere or ended_s - self.turn_over_s > self.IDLE_PART * (ended_s - began_s)

    async def drain(self) -> None:
        """Wait until all turns are committed."""
        self._urgent.set()
        while not self.idle:
            await self._idle.wait()

    async def settled(self, shard: int) -> None:
        """Wait until all turns of a shard's actors are committed. No turn of them may be taken meanwhile."""
        ended = Signal()
        self._settling[ended] = None
        try:
            while any(taken.activation.shard == shard for taken in self.unfinished()):
                self._urgent.set()
                await ended.wait()
        finally:
            del self._settling[ended]

    def abandon(self, error: PerdureError) -> None:
        """Drop all turns whose commit has not ended, whatever its outcome; their callers get the error."""
        self._lives += 1
        for taken in self.unfinished():
            for envelope in taken.envelopes:
                envelope.refuse(error)
        self._filling = []

    def unfinished(self) -> Sequence[TakenTurn]:
        """The turns whose commit has not ended."""
        return (*self._flushing, *self._filling)

    async def _flush(self) -> None:
        group, self._filling = self._filling, []
        filling_s = self._filling_s
        lives = self._lives
        # Kept if this is cancelled: it is unknown then whether the group is durable.
        self._flushing = group
        writes: list[Write] = []
        for taken in group:
            if taken.turn.earlier:
                writes += _in_parts(taken)
            elif taken.write is not None:
                writes.append(taken.write)
        fences = {shard: self._placement.epoch(shard) for shard in {write.shard for write in writes}}
        try:
            if writes:
                self.attempts += 1
                self.under_way = True
                began_s = self.stopwatch()
                await self._store.commit(writes, fences)
                self.commits += 1
                ended_s = self.stopwatch()
                self._last_s = began_s, ended_s
                took_s = ended_s - began_s
                self.took_s.append(took_s)
                if took_s > self.SLOW_S or self.watch is not None:
                    self._tell_commit(took_s, ended_s - filling_s)
        except Exception as error:
            known = as_store_error(error, f"committing {len(writes)} writes")
            self.under_way = False
            if lives == self._lives:
                self._fail(group, known)
        else:
            self.under_way = False
            if self._failed_at is not None:
                self._tell_recovered()
            if lives == self._lives:
                self._release(group)
        self._flushing = []
        for ended in self._settling:
            ended.set()

    def _tell_commit(self, took_s: float, since_first_s: float) -> None:
        if self.watch is not None:
            self.watch(took_s, since_first_s)
        if took_s > self.SLOW_S:
            self._journal.write(COMMIT_SLOW, took_s=took_s, duration_ms=round(took_s * 1e3))

    def _fail(self, group: Sequence[TakenTurn], error: StoreError) -> None:
        """Undo a group, and the later turns of its activations."""
        self._failed_at = anyio.current_time()
        broken = {id(taken.activation) for taken in group}
        later = [taken for taken in self._filling if id(taken.activation) in broken]
        self._filling = [taken for taken in self._filling if id(taken.activation) not in broken]
        void = [*group, *later]
        if not isinstance(error, StoreGone):  # the store has logged that one itself
            self._failed += 1
            self._journal.write(COMMIT_FAILED, found=len(void), reason=str(error), error_type=type(error).__name__)
        self._undo(void, error)

    def _tell_recovered(self) -> None:
        self._failed_at = None
        self._journal.write(COMMITS_AGAIN, found=self._failed)
        self._failed = 0

    def _write(self, activation: Activation, turn: Turn, now_us: int) -> Write | None:
        """Make the write of a turn, and keep the active mark true; None if the turn changes nothing."""
        activation.busy = turn.busy
        activation.quiet, activation.passing = turn.quiet, turn.passing
        active = self._active_mark(activation, turn)
        if active is None and turn.entry is None and not turn.writes():
            return None
        if activation.key is None:
            if turn.record is None:
                return None  # the actor does not exist, and this turn does not create it
            activation.key = self._store.new_key()
        write = Write(
            key=activation.key,
            address=activation.address,
            shard=activation.shard,
            at_us=now_us,
            entry=turn.entry,
            record=turn.record,
            active=active,
            reset=turn.reset,
            delete=turn.delete,
            reminders_set=turn.reminders_set,
            reminders_cleared=turn.reminders_cleared,
            facets=turn.facets,
            facets_before=activation.facets,
            audit=turn.audit,
            items=turn.items,
        )
        if turn.facets is not None:
            activation.facets = turn.facets
        if turn.delete:
            activation.key = activation.facets = None
            activation.active = False
        elif active is not None:
            activation.active = active
            activation.unmark = False
        return write

    def _active_mark(self, activation: Activation, turn: Turn) -> bool | None:
        """The active mark that this turn sets; None: it stays.

        It is set at once, because a crash must find it. It is taken away when
        the row is written in any case, or the actor is quiet, or a commit that was
        to take it away has failed; otherwise it stays until the eviction.
        """
        if activation.in_flight:
            return None if activation.active else True
        goes = turn.record is not None or turn.quiet or activation.unmark
        return False if activation.active and goes else None


def _in_parts(taken: TakenTurn) -> Sequence[Write]:
    """Split the write of a turn that appends several entries into one write for each entry."""
    write = taken.write
    assert write is not None
    first = replace(write, entry=None)
    later = [
        Write(key=write.key, address=write.address, shard=write.shard, at_us=write.at_us, entry=entry)
        for entry in (*taken.turn.earlier, write.entry)
    ]
    return (first, *later)
