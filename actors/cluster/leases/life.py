"""One life of a host: its knowledge of the others from the moment it joins until its row is deleted.

The rule: nothing of one life is carried into the next.

`actors/cluster/leased.py` begins and ends lives; `actors/cluster/leases/work.py` learns and acts in them.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf

import anyio

from ...store.cluster import HostRow, HostState
from ...store.presence.beats import SLOW_S
from ...waiting.signal import Signal
from .judging import BeatTable
from .seen import Gift, LeaseTally
from .shard_table import ShardTable

GONE_TRIES = 2  # how often to try to kill a host whose process is said to have ended
CUT_S = 3.0  # a host that beats but cannot be reached for this time is cut off from this one


ONE_APP = 2**31  # a number of shards that no app reaches


class HostLife:
    """The knowledge of a host in one of its lives.

    Args:
        me: Its id.
        name_of: Makes the name of a host from its id.
        tally: Counts kills, takes and gifts of the host over all its lives, for a report.
    """

    def __init__(self, me: int, name_of: Callable[[int], str], tally: LeaseTally) -> None:
        self.me = me
        self.scope: anyio.CancelScope | None = None
        self.wake = Signal()  # raised when there may be work at the store
        self.beats = BeatTable(me)
        self.table = ShardTable(me, name_of)
        self.rows: Mapping[int, HostRow] = {}
        self.apps: Mapping[str, int] | None = None  # the store's apps and their numbers; None: not read yet
        self.since: dict[int, float] = {}  # host -> since when this host knows it
        self.cuts: Sequence[tuple[int, int]] = ()
        self.numbers: Mapping[int, int] = {}  # host -> number of beats
        self.version = ""
        self.timeline = ""
        self.unreached: dict[int, float] = {}  # host -> since when there is no connection to it
        self.gone: dict[int, set[int]] = {}  # host whose process is said to have ended -> beats of attempts to kill it
        self.takes: dict[int, int] = {}  # shard of a dead host that this one has tried to take -> its new epoch
        self.lent: dict[int, Gift] = {}  # shard -> its gift with the activities that go on for its actors
        self.tally = tally
        self.stale = True  # this host's view differs from the rows
        self.gives_at = inf  # when the next shard may be given
        self.resumed = False  # the server has changed, and this host has no actors in memory yet
        self.may_resume = False  # this life may be over because the server has changed

    @property
    def states(self) -> Mapping[int, HostState]:
        """The state of each host of the store by its number, as its row said at the last look."""
        return {host: row.state for host, row in self.rows.items()}

    @property
    def numbers_of(self) -> Mapping[int, frozenset[int]]:
        """The numbers of the apps of each host. A host that names no app has the first."""
        apps = self.apps or {}
        return {
            host: frozenset(apps[app] for app in row.card.apps if app in apps) or frozenset((0,))
            for host, row in self.rows.items()
        }

    def free_for_me(self, shards: int) -> Mapping[int, tuple[int, float]]:
        """The unowned shards of this host's apps; as `ShardTable.free`.

        Args:
            shards: How many shards each app has.
        """
        free = self.table.free
        if not free:
            return free
        mine = self.numbers_of.get(self.me, frozenset((0,)))
        return {shard: known for shard, known in free.items() if shard // shards in mine}

    def know(self, hosts: Mapping[int, HostRow], now: float) -> None:
        """Take in the hosts that live."""
        # A host that joined before this one is not a newcomer.
        began = now if self.rows else -inf
        self.rows = hosts
        self.since = {host: self.since.get(host, began) for host in hosts}
        self.unreached = {host: since for host, since in self.unreached.items() if host in hosts}
        self.gone = {host: tried for host, tried in self.gone.items() if host in hosts}

    def lost(self, epochs: Mapping[int, int]) -> frozenset[int]:
        """The shards among `epochs` that this host has taken from dead hosts.

        Args:
            epochs: Shard -> epoch.
        """
        return frozenset(shard for shard, epoch in epochs.items() if self.takes.pop(shard, None) == epoch)

    def jobs_for(self, epochs: Mapping[int, int]) -> Sequence[bytes]:
        """Activities that go on elsewhere for the actors of shards that this host owns now.

        Args:
            epochs: Shard -> epoch. Activities that were lent at another epoch are void.
        """
        gifts = [(self.lent.pop(shard, None), epoch) for shard, epoch in epochs.items()]
        return [job for gift, epoch in gifts if gift is not None and gift.epoch == epoch for job in gift.jobs]

    @property
    def apart(self) -> frozenset[int]:
        """The hosts that cannot reach this one, or that this one cannot reach, according to the rows."""
        return frozenset(one if other == self.me else other for one, other in self.cuts if self.me in (one, other))

    def said_to_be_gone(self) -> dict[int, int]:
        """The hosts whose process is said to have ended -> the beat at which they may be killed.

        A process that has ended may have beaten once since this host has looked. A process that beats after that lives.
        """
        return {
            host: self.numbers[host]
            for host, tried in self.gone.items()
            if host in self.numbers and self.numbers[host] not in tried and len(tried) < GONE_TRIES
        }

    def tried(self, host: int, beat: int) -> None:
        """Take note of an attempt to kill a host at a beat."""
        if host in self.gone:
            self.gone[host].add(beat)
            if len(self.gone[host]) >= GONE_TRIES:
                del self.gone[host]

    def cut_off(self, now: float) -> set[int]:
        """The hosts that beat but cannot be reached."""
        return {
            host
            for host, since in self.unreached.items()
            if now - since >= CUT_S and (silent := self.beats.silent_s(host)) is not None and silent <= SLOW_S
        }

    @property
    def cut_in_vain(self) -> bool:
        """Whether this host has reported a cut from a host that it reaches again."""
        return any(host == self.me and peer not in self.unreached for host, peer in self.cuts)

    def has_work(self, now: float, shards: int = ONE_APP) -> bool:
        """Whether there is work to do at the store."""
        return bool(
            self.stale or self.resumed or self.said_to_be_gone() or self.unreached or self.cut_in_vain
            or self.free_for_me(shards) or self.beats.dead(now) or now >= self.gives_at
        )  # fmt: skip
