"""The client of a story has the methods of `Engine.client`, and repeats a request until it is answered."""

import inspect

from perdure import Client, InstanceNotFound
from perdure.testing import World

from .shop import Bank, Shop, calm, in_world, succeed


def test_it_has_the_methods_of_the_client_of_an_engine() -> None:
    shop, found = Shop(), list[object]()

    async def story(world: World) -> None:
        found.append(world.client)
        handle = await world.client.start(shop.wait, input="go", instance_id="o", tags={"kind": "test"})
        await world.client.suspend("o")
        await world.client.resume("o", reason="it may")
        await handle.raise_event("go", 1, idempotency_key="k")
        assert await handle.result() == 1
        assert await world.client.purge("o") == 1
        assert await world.client.get("o") is None
        await world.client.start(shop.wait, input="go", instance_id="p")
        await world.client.terminate("p", output="no")
        assert (await world.client.wait("p")).output == "no"
        try:
            await world.client.wait("nobody")
        except InstanceNotFound:
            found.append("not found")

    succeed(calm(shop.app, story))
    assert isinstance(found[0], Client)
    assert found[1:] == ["not found"]


def test_a_start_without_an_answer_is_repeated_and_is_one_instance() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        await world.client.start(shop.wait, input="go", instance_id="o")
        await world.client.raise_event("o", "go")

    attempt = succeed(in_world(shop.app, story, "answer.lost#0"))
    assert "starts o again: the answer was lost" in attempt.story
    assert not attempt.facts.started_again


def test_a_start_that_is_repeated_after_the_end_is_noted() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        await world.client.run(shop.buy, input="o", instance_id="o")

    attempt = succeed(in_world(shop.app, story, "answer.lost#0"))
    assert attempt.facts.started_again == {"o"}
    assert bank.charges == ["o", "o"]


def test_a_start_that_gives_the_instance_of_before_runs_once() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        await world.client.run(shop.buy, input="o", instance_id="o", if_exists="return")

    succeed(in_world(shop.app, story, "answer.lost#0"))
    assert bank.charges == ["o"]


def test_a_start_without_an_id_that_is_repeated_is_another_instance_and_noted() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        await world.client.run(shop.buy, input="o")

    attempt = succeed(in_world(shop.app, story, "answer.lost#0"))
    assert attempt.facts.unnamed_again
    assert bank.charges == ["o", "o"]


def test_a_start_is_told_by_its_id_or_by_its_workflow() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        await world.client.start(shop.wait, input="go", instance_id="o")
        await world.client.start(shop.wait, input="go", instance_id="p", if_exists="return")
        await world.client.start(shop.wait, input="go", idempotency_key="k")

    told = [
        line.split("client")[1].strip()
        for line in succeed(calm(shop.app, story)).story.splitlines()[:4]
        if "client" in line
    ]
    assert told == ["starts o", "starts p", "starts a wait"]


def test_run_takes_what_start_takes() -> None:
    # A start that may be repeated needs it: `run` is one too.
    start, run = inspect.signature(Client.start).parameters, inspect.signature(Client.run).parameters
    assert {"if_exists", "idempotency_key", "instance_id", "input"} <= set(run) <= set(start)
