"""A fake stands behind a network: a call from a host may be lost, doubled or unheard, each by a choice of its own."""

from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import World
from perdure.testing.simulation.machines.outside import Outside

from ...stories.shop import Bank, Shop, calm, in_world, succeed


def lines(story: str, who: str) -> list[str]:
    return [line.split(who, 1)[1].strip() for line in story.splitlines() if f" {who} " in line]


def one_order(shop: Shop, bank: Bank, workflow: str = "buy"):  # type: ignore[no-untyped-def]
    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        await world.client.run(workflow, input="o", instance_id="o")

    return story


def test_a_call_from_a_host_is_done_and_told() -> None:
    shop, bank = Shop(), Bank()
    attempt = succeed(calm(shop.app, one_order(shop, bank)))
    assert bank.charges == ["o"]
    assert lines(attempt.story, "bank") == ["charge o, time 1"]


@pytest.mark.parametrize("workflow", ["buy", "inquire"])
@pytest.mark.parametrize(
    ("fault", "done"),
    [
        ("bank.METHOD.lost#0", 1),  # the request: nothing was done
        ("bank.METHOD.lost#0=2", 2),  # the answer: it was done, and is done again
        ("bank.METHOD.doubled#0", 2),
        ("kill.bank.METHOD#0", 2),
        ("bank.METHOD.slow#0=3", 1),
    ],
)
def test_each_fault_of_a_call_has_its_effect(workflow: str, fault: str, done: int) -> None:
    # From the event loop and from a thread alike.
    shop, bank = Shop(), Bank()
    method = {"buy": "charge", "inquire": "balance"}[workflow]
    attempt = succeed(in_world(shop.app, one_order(shop, bank, workflow), fault.replace("METHOD", method)))
    assert bank.charges == ["o"] * done
    assert attempt.choices.unmet == []


@pytest.mark.parametrize("workflow", ["buy", "inquire"])
def test_a_host_that_is_killed_behind_a_deed_is_told_of(workflow: str) -> None:
    shop, bank = Shop(), Bank()
    method = {"buy": "charge", "inquire": "balance"}[workflow]
    attempt = in_world(shop.app, one_order(shop, bank, workflow), f"kill.bank.{method}#0")
    assert f"killed: bank has done {method} o, and the host has not heard of it" in attempt.story
    assert f"{method} o, time 2" in attempt.story


def test_the_error_of_a_lost_call_is_the_one_that_was_asked_for() -> None:
    class BankDown(Exception):
        pass

    shop = Shop()

    async def story(world: World) -> None:
        shop.bank = world.outside(Bank(), name="sparkasse", lost=BankDown)
        await world.client.run(shop.buy, input="o", instance_id="o")
        world.client.handle("o")

    attempt = succeed(in_world(shop.app, story, "sparkasse.charge.lost#0"))
    assert "the request to charge o was lost: nothing was done" in attempt.story


def test_a_fake_may_answer_with_errors_of_its_own() -> None:
    class Declined(Exception):
        pass

    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank, errors=[Declined])
        await world.client.run(shop.buy, input="o", instance_id="o")

    attempt = succeed(in_world(shop.app, story, "bank.charge.error#0"))
    assert "answers charge o with Declined: nothing was done" in attempt.story
    assert bank.charges == ["o"]


def test_what_was_asked_twice_under_one_key_says_so() -> None:
    app, bank = App("shop"), Bank()
    held: dict[str, Bank] = {}

    @app.activity
    async def charge(ctx: ActivityContext, order: str) -> str:
        return await held["bank"].charge(order, key=ctx.task_execution_id)

    @app.workflow
    async def buy(ctx: WorkflowContext, order: str) -> str:
        return await ctx.call_activity(charge, input=order)

    async def story(world: World) -> None:
        held["bank"] = world.outside(bank)
        await world.client.run(buy, input="o", instance_id="o")

    attempt = succeed(in_world(app, story, "kill.bank.charge#0"))
    assert lines(attempt.story, "bank")[-1] == "charge o, time 2, under the same key"


def test_the_story_calls_a_fake_itself_without_a_network() -> None:
    shop, bank = Shop(), Bank()
    results: list[object] = []

    async def story(world: World) -> None:
        seen = world.outside(bank)
        results.extend([await seen.charge("o"), seen.balance("p"), seen.charges])

    attempt = succeed(calm(shop.app, story))
    assert results == ["charged o", 2, ["o", "p"]]
    assert not [stream for stream in attempt.choices.drawn if stream.startswith("bank")]


def test_a_fake_goes_on_with_what_it_has_begun_when_the_host_dies() -> None:
    # Given a bank that takes its time,
    class SlowBank(Bank):
        async def charge(self, order: str, key: str = "") -> str:
            await anyio.sleep(5)
            return await super().charge(order)

    shop, bank = Shop(), SlowBank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        await world.client.start(shop.buy, input="o", instance_id="o")
        await world.sleep(1)
        # when the host dies meanwhile,
        world.kill()
        await world.settle()

    # then the bank has charged for the dead host too.
    succeed(calm(shop.app, story))
    assert bank.charges == ["o", "o"]


def test_the_choices_of_a_call_are_named_by_fake_and_method() -> None:
    shop = Shop()
    attempt = calm(shop.app, one_order(shop, Bank()))
    assert {"bank.charge.lost", "bank.charge.slow", "bank.charge.doubled", "kill.bank.charge"} <= set(
        attempt.choices.faults
    )
    assert Outside.__doc__


@pytest.mark.filterwarnings("error")
def test_a_plain_method_that_answers_with_a_coroutine_is_told_what_to_be() -> None:
    class Wrapped(Bank):
        def balance(self, order: str) -> int:
            answer: Any = self.charge(order)  # as under a decorator that is no `async def`
            return answer  # type: ignore[no-any-return]

    shop, bank = Shop(), Wrapped()
    error = calm(shop.app, one_order(shop, bank, "inquire")).error
    assert "the fake wrapped answers balance o with a coroutine: it has done nothing yet" in str(error)
    assert bank.charges == []
