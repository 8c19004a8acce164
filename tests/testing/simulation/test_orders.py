"""Each order is a choice that makes worlds differ, and 0 is the order of asyncio's own loop."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import SimHandle, SimLoop
from perdure.testing.simulation.orders import (
    ALWAYS,
    CHANGE_STEPS,
    LONG_STEP_S,
    OVERTAKEN_MAX,
    PRIORITIES,
    SELDOM,
    VICTIMS,
    PriorityOrder,
    order_of,
    put_in_order,
)


def taken(order: int, seed: int = 1, *, more: dict[str, int] | None = None) -> list[str]:
    """The steps of five tasks of six steps each, in a world of the given order."""
    seen: list[str] = []
    choices = Choices(seed)
    given = {"world.order": order, **(more or {})}
    real = choices.draw
    choices.draw = lambda stream, below: given[stream] if stream in given else real(stream, below)  # type: ignore[method-assign]
    loop = SimLoop(order_of(choices))  # type: ignore[abstract]

    async def work(name: str) -> None:
        for _ in range(6):
            seen.append(name)
            await asyncio.sleep(0)

    async def story() -> None:
        await asyncio.wait([asyncio.create_task(work(name)) for name in "abcde"])

    loop.run(story())
    loop.close()
    return seen


def test_the_calm_order_takes_turns() -> None:
    assert taken(0) == list("abcde") * 6


@pytest.mark.parametrize("order", [SELDOM, ALWAYS, PRIORITIES])
def test_each_other_order_is_another_for_each_seed_and_takes_every_step(order: int) -> None:
    orders = [taken(order, seed) for seed in range(5)]
    assert len(set(map(tuple, orders))) > 3
    assert all(sorted(each) == sorted("abcde" * 6) for each in orders)
    assert orders == [taken(order, seed) for seed in range(5)]


def test_a_task_of_high_priority_ends_before_the_others_begin() -> None:
    seen: list[str] = []
    choices = Choices(schedule={("order.priority", 1): 1, ("order.priority", 3): 7})
    loop = SimLoop(PriorityOrder(choices))  # type: ignore[abstract]

    async def work(name: str) -> None:
        for _ in range(3):
            seen.append(name)
            await asyncio.sleep(0)

    async def story() -> None:
        await asyncio.wait([asyncio.create_task(work(name)) for name in "abcd"])

    loop.run(story())
    loop.close()
    assert "".join(seen) == "dddbbbacacac"


def test_the_task_that_runs_loses_its_priority_at_a_change() -> None:
    steady = taken(PRIORITIES, more={"order.priority": 3, "order.change": 0})
    changed = taken(PRIORITIES, more={"order.priority": 3, "order.change": 5})
    assert steady == list("abcde") * 6
    assert changed != steady
    assert CHANGE_STEPS > 5


def test_a_victim_is_overtaken_until_it_has_waited_long_enough() -> None:
    seen: list[str] = []
    choices = Choices(schedule={("world.order", 0): VICTIMS, ("order.victim", 0): 2})  # the first task that is made
    loop = SimLoop(order_of(choices))  # type: ignore[abstract]

    async def work(name: str, steps: int) -> None:
        for _ in range(steps):
            seen.append(name)
            await asyncio.sleep(0)

    async def story() -> None:
        await asyncio.wait([asyncio.create_task(work("a", 2)), asyncio.create_task(work("b", 1_000))])

    loop.run(story())
    loop.close()
    assert OVERTAKEN_MAX <= seen.index("a") <= OVERTAKEN_MAX + 2


def test_callbacks_that_call_themselves_keep_no_task_waiting() -> None:
    loop = SimLoop(PriorityOrder(Choices(1)))  # type: ignore[abstract]
    calls: list[int] = []

    def again() -> None:
        calls.append(1)
        if len(calls) < 10_000:
            loop.call_soon(again)

    async def story() -> int:
        again()
        for _ in range(20):
            await asyncio.sleep(0)
        return len(calls)

    assert loop.run(story()) < 100
    loop.close()


def test_a_world_has_an_order_and_long_steps_of_its_choices() -> None:
    loop = SimLoop()  # type: ignore[abstract]
    put_in_order(loop, Choices(schedule={("world.long_steps", 0): 1, ("step.long", 0): 7, ("step.long", 2): 5}))
    assert loop.long_steps == {7: LONG_STEP_S, 12: LONG_STEP_S}
    assert loop.order is None
    calm = SimLoop()  # type: ignore[abstract]
    put_in_order(calm, Choices())
    assert calm.order is None
    assert not calm.long_steps


def test_a_timer_is_late_by_its_choice_and_the_time_that_timers_were_late_is_counted_once() -> None:
    loop = SimLoop()  # type: ignore[abstract]
    # Given a first timer that is late by a second, a second one by 20 ms within that, and a third that is not late,
    lateness = put_in_order(loop, Choices(schedule={("timer.late", 0): 3, ("timer.late", 1): 2}))
    fired: list[float] = []

    async def life() -> None:
        for due_s in (1.0, 1.5, 3.0):
            loop.call_at(due_s, lambda: fired.append(loop.time()))
        await asyncio.sleep(4)

    loop.run(_in_a_life(loop, life))
    # then each fires when it was chosen to,
    assert fired == [pytest.approx(1.52, abs=0.001), pytest.approx(2.0, abs=0.001), pytest.approx(3.0, abs=0.001)]
    # and their time is one second, of which a part may be asked for.
    assert lateness.between_s(0, 4) == pytest.approx(1.0)
    assert lateness.between_s(1.25, 1.75) == pytest.approx(0.5)
    assert lateness.between_s(2.0, 4) == 0
    loop.close()


def test_a_late_timer_that_is_cancelled_was_late_until_then() -> None:
    loop = SimLoop()  # type: ignore[abstract]
    lateness = put_in_order(loop, Choices(schedule={("timer.late", 0): 3, ("timer.late", 1): 3}))

    async def life() -> None:
        never_due, late = loop.call_at(5, print), loop.call_at(1, print)
        loop.call_at(1.25, never_due.cancel)
        loop.call_at(1.25, late.cancel)
        await asyncio.sleep(7)

    loop.run(_in_a_life(loop, life))
    assert lateness.between_s(0, 7) == pytest.approx(0.25, abs=0.001)
    loop.close()


async def _in_a_life(loop: SimLoop, life: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await loop.create_task(life(), context=loop.in_life(1))


def test_only_steps_that_are_ready_can_be_chosen() -> None:
    class Handles(Sequence[SimHandle]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, at: object) -> SimHandle:  # type: ignore[override]
            raise AssertionError("not asked for")

    order = order_of(Choices(schedule={("world.order", 0): ALWAYS, ("order", 0): 9}))
    assert order is not None
    assert order.choose(Handles()) == 2
