"""S5: many actors with a reminder each, all due when their host begins to run.

It measures the mechanism alone: the actor only removes its reminder, as every turn of a reminder must. The actors are
stored in bulk, with the store's `commit`; the host reads, loads, runs and commits them, with its own limits.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import anyio

from ...actors.address import Address, shard_of
from ...actors.clock import SystemClock
from ...actors.hosting.host import Host
from ...actors.store.audit import AuditRow
from ...actors.store.contract import Inspection, Stored, Write
from ...actors.store.durability import Durability
from ...actors.store.listing import Facets
from ...actors.store.sqlite.store import SqliteStore
from ...actors.turn import Envelope, ReminderDue, Turn
from ..drivers.in_process import EngineSetup
from ..drivers.load import Progress, WrongResult
from ..drivers.measure import RunOutcome, usage_of_self
from ..workloads.workload import Extent, Workload
from .sleeping import LOOK_EVERY_S, PATIENCE_S, TooSlow, Waking, fleet_of, storm_outcome

LAID_AT_ONCE = 1_000  # writes in one commit
ALARM = "alarm"  # the type of the actors
NAME = "1"  # of each reminder


class Alarm:
    was_stalled = False
    log_fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, alarms: "Alarms") -> None:
        self._alarms = alarms

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        turn = Turn()
        for envelope in envelopes:
            match envelope.body:
                case ReminderDue(name, due_us):
                    turn.reminders_cleared.append((name, due_us))
                    self._alarms.fired_us.append(now_us)
                case None:
                    # The fence has to write, or it would not wait for a commit.
                    turn.record = b""
            if envelope.reply is not None:
                turn.replies.append((envelope.reply, None))
        return turn

    def close(self) -> None: ...


class Alarms:
    """Makes the actors, and collects the times of their reminders."""

    def __init__(self) -> None:
        self.fired_us: list[int] = []

    def purges(self, body: object) -> bool:
        return False

    def purge_audit(self, address: Address, body: object, now_us: int) -> Sequence[AuditRow]:
        return ()

    def facets(self, outside: Inspection) -> Facets | None:
        return None

    def activate(self, address: Address, stored: Stored | None) -> Alarm:
        return Alarm(self)


async def run_reminder_storm(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    storm = fleet_of(extent)
    store = SqliteStore(setup.store, durability=Durability(setup.durability))
    alarms = Alarms()
    host = Host(store, SystemClock(), types={ALARM: alarms}, routes={})
    await host.open()
    due_us = host.clock.now_us()
    await lay_down(host, storm, due_us)
    progress.part(0.5, 0)
    cpu_s, began_us = usage_of_self().cpu_s, host.clock.now_us()
    async with host.running():
        with anyio.move_on_after(PATIENCE_S):
            while len(alarms.fired_us) < storm:  # noqa: ASYNC110  a check of a counter is cheap
                await anyio.sleep(LOOK_EVERY_S)
            # Groups are committed in order: the earlier ones are durable when this one is.
            await host.ask(Address(ALARM, "fence"), None)
        elapsed_s = (host.clock.now_us() - began_us) / 1e6
        cpu_s = usage_of_self().cpu_s - cpu_s
        if len(alarms.fired_us) < storm:
            raise TooSlow(f"only {len(alarms.fired_us)} of {storm} reminders fired in {PATIENCE_S:g} s")
        left = await store.reminders(after=None, limit=1)
        if left:
            raise WrongResult(left[0].address.id, expected="no reminder", found=left[0])
        late_us = [fired_us - began_us for fired_us in alarms.fired_us]
        waking = Waking(awake_s=elapsed_s, cpu_s=cpu_s, commits=host.commits, late_us=late_us)
    progress.part(1.0, storm)
    return storm_outcome(waking)


async def lay_down(host: Host, actors: int, due_us: int) -> None:
    """Store actors with a reminder each. The host must not run yet."""
    store = host.store
    for begin in range(0, actors, LAID_AT_ONCE):
        writes = [
            Write(
                key=store.new_key(),
                address=Address(ALARM, f"{number:08d}"),
                shard=shard_of(f"{number:08d}", store.shards),
                at_us=due_us,
                record=b"",
                reminders_set=[(NAME, due_us)],
            )
            for number in range(begin, min(begin + LAID_AT_ONCE, actors))
        ]
        await store.commit(writes, {write.shard: host.placement.epoch(write.shard) for write in writes})
