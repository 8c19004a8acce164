"""Poison on hosts that share a store: an instance whose code ends its hosts one after the other is set aside.

The claim: it is set aside after as many ends as ENDS says, for a turn and for an activity, and all others complete,
also those that were under way beside it each time.
`tests/actors/hosting/shards/test_inquest.py` has the rule case by case, and `tests/chaos/test_harm.py` the same with
processes on a server.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

import perdure
from perdure import Settings
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.status import Status
from perdure.testing.virtual_time import run_virtually

from ..support.workflows.shared_engines import SharedEngine, SharedEngines, shared_engines

# No host learns from the first end what was under way. It takes three more ends, of which two have no other suspect. If
# others are suspect with the culprit, it takes an end or two more until it is the only one.
ENDS = range(4, 7)
RESTART_S = 1.0
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
WITHIN_S = 300.0


class House:
    """Hosts of one app, each started again when it has ended, and the list of the instances that ended them."""

    def __init__(self) -> None:
        self.engines: SharedEngines
        self.ends: list[str] = []  # for each end of a host, the instance that caused it
        self.harmless: set[str] = set()  # instances that no longer end a host
        self.app = perdure.App("house")
        self.app.activity(self.harm)
        self.app.activity(self.rest)
        self.app.workflow(self.turn)
        self.app.workflow(self.activity)
        self.app.workflow(self.innocent)

    def end_host(self, instance_id: str) -> None:
        """End the process in which an instance is, if it is poison now."""
        if instance_id not in self.harmless:
            self.ends.append(instance_id)
            self.engines.owner_of(instance_id).kill()

    async def harm(self, ctx: perdure.ActivityContext, seconds: float) -> str:
        await anyio.sleep(seconds)
        self.end_host(ctx.workflow_id)
        await anyio.lowlevel.checkpoint()
        return "harmless"

    async def rest(self, ctx: perdure.ActivityContext, seconds: float) -> str:
        await anyio.sleep(seconds)
        return "rested"

    async def turn(self, ctx: perdure.WorkflowContext, _: Any) -> str:
        await ctx.call_activity("rest", input=0.01)
        self.end_host(ctx.instance_id)
        return str(await ctx.call_activity("rest", input=0.01))

    async def activity(self, ctx: perdure.WorkflowContext, seconds: float) -> str:
        return str(await ctx.call_activity("harm", input=seconds))

    async def innocent(self, ctx: perdure.WorkflowContext, seconds: float) -> int:
        for _ in range(10):
            await ctx.call_activity("rest", input=seconds)
        return 10

    async def keep(self) -> None:
        """Start a host again a while after one has ended."""
        while True:
            if len(self.engines.running) < 3:
                await anyio.sleep(RESTART_S)
                await self.engines.add()
            await anyio.sleep(0.05)

    async def ask(self, call: Callable[[SharedEngine], Awaitable[Any]]) -> Any:
        """Ask a host until one answers."""
        while True:
            for each in self.engines.running:
                try:
                    return await call(each)
                except perdure.PerdureError:
                    continue
            await anyio.sleep(0.2)

    async def start(self, name: str, id_: str, given: Any = None) -> None:
        async def begin(each: SharedEngine) -> None:
            await each.engine.client.start(name, input=given, instance_id=id_, if_exists="return")

        await self.ask(begin)

    async def state(self, id_: str) -> InstanceState:
        found: InstanceState = await self.ask(lambda each: each.engine.facade.inspect(id_))
        return found

    async def until(self, id_: str, fits: Callable[[InstanceState], bool]) -> InstanceState:
        with anyio.fail_after(WITHIN_S):
            while not fits(state := await self.state(id_)):
                await anyio.sleep(0.1)
        return state


def told(tell: Callable[[House], Awaitable[None]], *, seed: int = 0) -> House:
    house = House()

    async def main() -> None:
        with anyio.fail_after(2 * WITHIN_S):
            async with (
                shared_engines(house.app, Settings(), 3, seed=seed) as house.engines,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(house.keep)
                await tell(house)
                tasks.cancel_scope.cancel()

    run_virtually(main)
    return house


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("kind", "given"), [("turn", None), ("activity", 0.0), ("activity", 1.5)])
def test_an_instance_that_ends_its_hosts_is_set_aside_and_all_others_complete(
    kind: str,
    given: Any,
    seed: int,
) -> None:
    async def tell(house: House) -> None:
        # Given instances that are under way,
        for number in range(20):
            await house.start("innocent", f"good-{number}", 1.0 + number / 10)
        # when one ends each host that has it,
        await house.start(kind, "poison", given)
        state = await house.until("poison", lambda state: state.set_aside)
        # then it is set aside after as many ends as ENDS says,
        ends = len(house.ends)
        assert ends in ENDS
        assert state.status is Status.STALLED
        assert state.stall is not None
        assert "with no other suspect under way" in state.stall
        # the others complete, and none of them was set aside,
        for number in range(20):
            done = await house.until(f"good-{number}", lambda state: state.status.terminal)
            assert done.status is Status.COMPLETED
        # no further host ends, and no suspect is noted any more.
        await anyio.sleep(30)
        assert len(house.ends) == ends
        assert [note for note in house.engines.database.flights.values() if note.shard >= 0] == []
        # Released, it goes on.
        house.harmless.add("poison")
        await house.ask(lambda each: each.engine.facade.release("poison"))
        assert (await house.until("poison", lambda state: state.status.terminal)).status is Status.COMPLETED

    told(tell, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_of_hosts_that_are_killed_for_other_reasons_nothing_is_set_aside(seed: int) -> None:
    async def tell(house: House) -> None:
        # Given activities that take long,
        for number in range(6):
            await house.start("innocent", f"good-{number}", 8.0)
        # when hosts are killed again and again while activities are under way on them,
        chance = random.Random(seed)
        for _ in range(8):
            await anyio.sleep(chance.uniform(0.5, 15))
            chance.choice(house.engines.running).kill()
            await anyio.sleep(2 * RESTART_S)
        # then all of them complete.
        for number in range(6):
            done = await house.until(f"good-{number}", lambda state: state.status.terminal or state.set_aside)
            assert done.status is Status.COMPLETED

    told(tell, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_that_end_their_hosts_are_both_found(seed: int) -> None:
    async def tell(house: House) -> None:
        await house.start("innocent", "good", 0.5)
        await house.start("activity", "poison-1", 0.3)
        await house.start("turn", "poison-2")
        for name in ("poison-1", "poison-2"):
            await house.until(name, lambda state: state.set_aside)
        done = await house.until("good", lambda state: state.status.terminal)
        assert done.status is Status.COMPLETED
        assert len(house.ends) <= 2 * ENDS.stop

    told(tell, seed=seed)


def test_a_stop_in_order_is_no_end_and_hosts_that_do_not_die_note_nothing() -> None:
    async def tell(house: House) -> None:
        # Given hosts with work, of which one leaves in order, and then all of them,
        for number in range(6):
            await house.start("innocent", f"good-{number}", 0.5)
        written: list[int] = []
        for each in house.engines.engines:
            note = each.store.note

            async def counted(put: Any, gone: Any = (), *, note: Any = note) -> None:
                written.append(len(put))
                await note(put, gone)

            each.store.note = counted  # type: ignore[method-assign]
        await house.engines.running[0].stop()
        await anyio.sleep(5)
        for each in house.engines.running:
            await each.stop()
        await anyio.sleep(10)
        # then no suspect was noted, and the last one has left its shards: the next host takes over from no dead one.
        assert written == []
        assert house.engines.database.flights == {}
        for number in range(6):
            await house.until(f"good-{number}", lambda state: state.status is Status.COMPLETED)

    told(tell)
