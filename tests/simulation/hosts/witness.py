"""I1 and I6, checked at the server: a commit is of the owner of its shards, and no living host is killed."""

from collections.abc import Mapping, Sequence
from typing import Any

from perdure.actors.cluster.leases.seen import Standing
from perdure.actors.store.contract import Write
from perdure.actors.store.postgres.driver import Statement
from perdure.testing.simulation.hosts.host import SharingLife
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.machines.database.backend import Scene
from perdure.testing.simulation.machines.database.statements.hosts import kill
from perdure.testing.simulation.machines.database.work import Waiting

from ..checks.broken import Broken
from ..invariants import Witness
from .rows import owners

# The time after the end of a fault of a host in which it may still be killed for that: two seconds without a beat, and
# a kill that is long on its way.
FELT_S = 8.0
# A beat waits for several timers: if some of them are late meanwhile, that explains a kill.
LATE_S = 1.0


class HostsWitness:
    """Looks at commits and kills.

    Args:
        witness: Takes violations of invariants.

    Attributes:
        killed: The number of hosts that others have found dead.
    """

    def __init__(self, world: HostsWorld, witness: Witness) -> None:
        self._world = world
        self._witness = witness
        self.killed = 0
        world.seen.append(self._committed)
        core = world.database.core
        core.functions = {**core.functions, "kill": self._kill}

    def _committed(self, made: SharingLife, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        """I1."""
        rows = owners(self._world)
        for shard, epoch in fences.items():
            owned = rows[shard]
            if (owned.host, owned.epoch) != (made.store.host, epoch):
                ids = ", ".join(write.address.id for write in writes if write.shard == shard)
                what = f"host {made.store.host} has written {ids} at epoch {epoch} of shard {shard}, which is {owned}"
                self._witness.tell(Broken("I1", what))

    def _kill(self, scene: Scene, statement: Statement, host: int, beat: int) -> Waiting[Any]:
        rows = yield from kill(scene, statement, host, beat)
        if rows:
            self.killed += 1
            self._require_dead(host)
        return rows

    def _require_dead(self, host: int) -> None:
        """I6: a host that is killed was in no state to beat, and not because the database was away for all."""
        now_s = self._world.loop.time()
        for made in self._world.lives.values():
            # One that was found on another server while it leaves is at its end, and its row is left to the others. One
            # that is long on its way to its first beat joins again.
            if (
                made.store.host == host
                and made.store.alive
                and made.membership.standing is not Standing.JOINING
                and not made.life.over
                and now_s > made.disturbed_until_s + FELT_S
                and self._world.lateness.between_s(now_s - FELT_S, now_s) < LATE_S
            ):
                since_s = now_s - made.disturbed_until_s
                what = f"{made.membership.me} was killed, and nothing had befallen it for {since_s:.3f} s"
                self._witness.tell(Broken("I6", what))
