"""A world whose file rots: between two lives one bit of an instance's rows on the disk flips.

The rule: damaged data is never served. The instance says that it is damaged, all others are as
before, nothing is tried without end, and a purge removes the rest.
"""

import sqlite3
from functools import partial
from typing import Any, NamedTuple

from perdure import Status
from perdure.actors.errors import ActorStalled, MailboxFull, PerdureError
from perdure.actors.store.errors import StoreDamaged
from perdure.runtime.engine import Engine
from perdure.runtime.errors import InstanceStalled
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.sqlite_file import SqliteFile

from .checks.broken import Broken
from .checks.rest import check_empty
from .scenario import Scenario

# These can still be read or woken when the faults are over.
FATES = ("left alone", "asleep")
# The columns that a bit may flip in, and the columns that name a row.
BLOBS = (("log", "entry", "position"), ("actors", "record", "key"))
# After this time from the last request nothing is tried any more: three times, with pauses that double from 5 s.
TRIED_S = 60.0


class Shown(NamedTuple):
    """The view of an instance for a client."""

    status: Status
    output: Any
    custom_status: str | None
    history: Any


class RottenScenario(Scenario):
    """Runs a world on a file that rots.

    Args:
        named: Further arguments of `Scenario`.
    """

    def __init__(self, choices: Choices, *, file: SqliteFile, **named: Any) -> None:
        super().__init__(choices, store=file.store, **{"fates": FATES, **named, "rests": False})
        self._path = file.path

    async def _story(self, world: BaseWorld) -> None:
        await super()._story(world)
        # Purged and restarted ones are no fates of this world, so all instances are still there.
        ids = sorted(self.witness.status)
        before = {id_: await world.ask(partial(_shown, id_=id_)) for id_ in ids}
        damaged = await self._rot_between_lives()
        self.witness.log.explained.append(f"instance {damaged} ")
        await world.ask(lambda engine: engine.client.get("nobody"))
        for id_ in ids:
            self._check(id_, before[id_], await self._seen(id_), damaged=id_ == damaged)
        for id_ in ids:
            await self._wake(id_)
        await world.sleep(TRIED_S)
        life = self.world.life
        assert life is not None
        assert life.engine is not None
        if parked := life.engine._host._failures.parked:
            raise Broken("E12", f"{parked[0].address.id} is still tried, {TRIED_S:.0f} s after it could not be read")
        await self._purge(damaged)
        await world.sleep(1.0)
        check_empty(life.engine)

    async def _rot_between_lives(self) -> str:
        """End the host, in order or by a kill, and flip a bit before the next one begins; return its instance."""
        if self.choices.draw("rot.killed", 2):
            self.world.kill("so that what sleeps is recovered")
            return self._rot()
        await self.world.stop()
        damaged = self._rot()
        await self.world.restart()
        return damaged

    def _rot(self) -> str:
        """Flip a bit, and return its instance."""
        table, column, key = BLOBS[self.choices.draw("rot.table", len(BLOBS))]
        with sqlite3.connect(self._path) as file:
            rows = file.execute(f"SELECT {key}, {column} FROM {table} ORDER BY {key}").fetchall()
            number, blob = rows[self.choices.draw("rot.row", len(rows))]
            rotten = bytearray(blob)
            rotten[self.choices.draw("rot.byte", len(rotten))] ^= 1 << self.choices.draw("rot.bit", 8)
            file.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (bytes(rotten), number))
            owner = "SELECT id FROM actors WHERE key = " + (
                "?" if table == "actors" else "(SELECT key FROM log WHERE position = ?)"
            )
            ((id_,),) = file.execute(owner, (number,)).fetchall()
        file.close()
        self.world.trace.tell(self.world.loop.time(), "disk", f"a bit of {table} flips, of {id_}", fault=True)
        return str(id_)

    async def _seen(self, id_: str) -> Shown | None:
        """The present view for a client; None if the instance is damaged."""
        try:
            return await self.world.call(partial(_shown, id_=id_))
        except (StoreDamaged, InstanceStalled, ActorStalled):
            self.witness.sometimes["told of damage"] += 1
            return None
        except PerdureError as error:
            raise Broken("E13", f"clients of {id_} are told {error!r}, and that it is damaged by nobody") from error

    def _check(self, id_: str, before: Shown, after: Shown | None, *, damaged: bool) -> None:
        if after is None or after.status is Status.STALLED:
            if not damaged:
                raise Broken("E1", f"{id_} is damaged for its clients, and nothing of it has changed")
        elif after != before:
            raise Broken("E13", f"{id_} is {after} for its clients behind a flipped bit, and was {before}")

    async def _wake(self, id_: str) -> None:
        """Send the event that a sleeping instance waits for: it takes it, or says why not."""
        if id_ in self._asleep:
            try:
                await self.world.call(lambda engine: engine.client.raise_event(id_, "never", data="for never"))
            except (StoreDamaged, InstanceStalled, ActorStalled):
                self.witness.sometimes["told of damage"] += 1
            except MailboxFull:
                self.witness.sometimes["had no room as it was tried again"] += 1

    async def _purge(self, id_: str) -> None:
        self.witness.purging(id_)
        await self.world.call(lambda engine: engine.client.purge(id_, force=True))
        if await self.world.call(lambda engine: engine.client.get(id_)) is not None:
            raise Broken("E14", f"{id_} was purged, and is there")


async def _shown(engine: Engine, id_: str) -> Shown:
    state = await engine.client.get(id_)
    if state is None:
        raise Broken("E1", f"{id_} was acknowledged, and is gone")
    rows = await engine.facade.history(id_)
    return Shown(state.status, state.output, state.custom_status, rows)
