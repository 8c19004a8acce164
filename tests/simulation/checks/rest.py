"""The invariants of a host at rest: all instances have ended or sleep for a stated reason, and all faults are over.

E10 instances that have not ended; E11 active marks; E12 nothing happens, and nothing waits in memory; E14 what was
purged; E16 the loop's exception handler; E17 what is under way.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from perdure.actors.address import Address
from perdure.runtime.directory import WORKFLOW
from perdure.runtime.engine import Engine
from perdure.runtime.hosted_app import HostedApp
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.life import LifeStore
from perdure.testing.simulation.machines.database.machine import LifePostgresStore
from perdure.testing.simulation.world import SimWorld

from .broken import Broken

# The time for which a host at rest must do nothing. Where the date may be set it looks at its clocks each second; where
# its store is on PostgreSQL, at the other hosts twice a second; where what has ended is kept for a second, each second
# whether a turn was taken.
REST_S, REST_WITH_STEPS_S, REST_WITH_BEATS_S = 86_400.0, 7_200.0, 600.0


async def check_idle(world: SimWorld, *, asleep: Collection[str]) -> None:
    """Check the host that has seen the last instance end.

    Args:
        asleep: Instances that have not ended; they keep their active marks until they leave memory.

    Raises:
        Broken: E11, E12, E17.
    """
    await world.sleep(10)
    marked = [each.id for each in await world.contents.active() if each.id not in asleep]
    if marked:
        raise Broken("E11", f"{marked[0]} and {len(marked) - 1} others have the active mark, and have ended")
    check_engine(_engine(world))


def check_engine(engine: Engine) -> None:
    """An engine has nothing to do, and all places back.

    Raises:
        Broken: E12, E17.
    """
    check_empty(engine)
    for app in engine.apps.values():
        _check_places(app)


def _check_places(app: HostedApp) -> None:
    under_way = len(app.activities)
    if under_way:
        raise Broken("E17", f"{under_way} activities are under way at rest")
    for kind, lane in app.activities._lanes.items():
        if lane._running or lane.waiting or lane._scopes or lane._room != lane.limit or lane._called:
            raise Broken("E17", f"the lane of {kind.name} has {lane._running} at work at rest, room for {lane._room}")
    dispatcher = app.dispatcher
    if dispatcher._jobs or any(dispatcher.room._at_work.values()):
        raise Broken("E17", f"workers have {dict(dispatcher.room._at_work)} at rest, of {len(dispatcher._jobs)} jobs")


async def check_rest(world: SimWorld, *, asleep: Mapping[str, str], tasks: int) -> None:
    """Check a world once all instances have ended and all faults are over, in addition to `check_contents`.

    Args:
        asleep: Instances that have not ended, each with the event that it waits for.
        tasks: The number of tasks when another host was at rest that had seen all instances.

    Raises:
        Broken
    """
    engine = _engine(world)
    check_empty(engine)
    if (now := tasks_of(world)) != tasks:
        raise Broken(
            "E12", f"a host that has done its work has {tasks} tasks at rest, and one that has just begun {now}"
        )
    for id_, event in sorted(asleep.items()):
        await check_asleep(engine, id_, event)
    before, reads = (engine.turns, engine.commits), world.disk.reads
    rest_s = REST_WITH_STEPS_S if world.clock.may_be_set else REST_S
    if isinstance(world.contents, LifePostgresStore) or world.settings.retention:
        rest_s = REST_WITH_BEATS_S
    await world.sleep(rest_s)
    if (engine.turns, engine.commits) != before:
        after = (engine.turns, engine.commits)
        raise Broken("E12", f"at rest (turns, commits) went from {before} to {after} in {rest_s:.0f} s")
    if world.disk.reads != reads:
        raise Broken("E12", f"at rest the store was read {world.disk.reads - reads} times in {rest_s:.0f} s")
    check_no_errors(world)


def check_no_errors(world: BaseWorld) -> None:
    """E16: nothing has reached the loop's exception handler.

    Raises:
        Broken
    """
    if world.loop.errors:
        error = world.loop.errors[0]
        raise Broken("E16", f"{error.get('message')}: {error.get('exception')!r}")


async def check_contents(
    store: LifeStore,
    purged: Collection[str],
    asleep: Collection[str],
    *,
    marked: Collection[str] = (),
    workflow: str = WORKFLOW,
) -> None:
    """A store has the rows that it must have at rest, and no others.

    Args:
        purged: The ids of which nothing must be left.
        workflow: The type of the instances.
        marked: The instances that may have the active mark.

    Raises:
        Broken: E1, E9, E11, E14.
    """
    active = [each for each in await store.active() if each.id not in marked]
    if active:
        raise Broken("E11", f"{active[0].id} and {len(active) - 1} others have the active mark at rest")
    reminders = await store.reminders(after=None, limit=10)
    if reminders:
        raise Broken("E9", f"{reminders[0].address.id} has a reminder at rest: {reminders[0].name}")
    there = set(await store.ids(workflow, after=None, limit=100_000))
    if left := there.intersection(purged):
        raise Broken("E14", f"{min(left)} was purged, and is there")
    if lost := set(asleep) - there:
        raise Broken("E1", f"{min(lost)} sleeps, and is not there")
    for stored in await store.load([Address(workflow, each) for each in sorted(purged)]):
        if stored is not None:
            raise Broken("E14", f"a purged instance has left rows: {stored}")


def check_empty(engine: Engine) -> None:
    """Nothing waits in the memory of a host: no message, no watch, no load, no turn, no child or event on its way.

    Raises:
        Broken: E12.
    """
    host: Any = engine._host
    mailroom = host._mailroom
    full = [each.address.id for each in mailroom.activations if each.mailbox]
    kept: dict[str, Any] = {
        "mailboxes": full,
        "turns that are due": mailroom.runnable,
        "loads": len(mailroom.loader),
        "watches": host._watches,
        "activations set aside": host._failures.parked,
        "turns whose commit has not ended": host._committer.unfinished(),
        "children on their way": [each for app in engine.apps.values() for each in app._children._busy],
        "events on their way": [each for app in engine.apps.values() for each in app._events._waiting],
        "bulk operations": [each for app in engine.apps.values() for each in app._bulk_runner._running],
        "actors to be recovered": mailroom.unrecovered,
        "unacknowledged messages": [each.address.id for each in mailroom.activations if each.unacknowledged],
    }
    for name, found in kept.items():
        if found:
            raise Broken("E12", f"at rest there are {name}: {found!r:.300}")


async def check_asleep(engine: Engine, id_: str, event: str) -> None:
    """E10: an instance that has not ended has its waits in its description."""
    description = await engine.views.descriptions.describe(id_)
    if description is None:
        raise Broken("E1", f"{id_} sleeps, and is not there")
    waits = [(each.kind.value, each.name) for each in description.waiting_for]
    # A host does not know which events the code of a remote worker waits for.
    here = engine.app is not None and engine.app.workflows
    if waits != [("event", event) if here else ("code", description.item.name)]:
        raise Broken("E10", f"{id_} sleeps until event {event!r}, and says that it waits for {waits}")


def tasks_of(world: SimWorld) -> int:
    """The number of tasks of the host."""
    assert world.life is not None
    return sum(task.life == world.life.number and not task.done() for task in world.loop.tasks)


def _engine(world: SimWorld) -> Engine:
    assert world.life is not None
    assert world.life.engine is not None
    return world.life.engine


def describe_late(ids: Sequence[str]) -> str:
    """Ids of instances, a few of them."""
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return ", ".join(ids[:5]) + more
