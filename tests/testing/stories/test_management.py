"""The client of a story lists, counts, repairs and reruns as that of an embedded engine does, over the same network."""

from datetime import timedelta
from typing import Any

import pytest

from perdure import ActivityContext, App, RetryPolicy, WorkflowContext
from perdure.client.errors import ServerRefused
from perdure.testing import ConnectionLost, World
from perdure.testing.simulation.search.attempt import Attempt

from .shop import Shop, calm, in_world, succeed


async def an_order(world: World, shop: Shop, id_: str = "o") -> None:
    """Have an order end; four requests."""
    handle = await world.client.start(shop.wait, input="go", instance_id=id_, if_exists="return")
    await handle.raise_event("go", 1, idempotency_key="k")
    await handle.wait()


def test_a_story_sees_and_steers_instances_as_a_program_does() -> None:
    shop, seen = Shop(), dict[str, Any]()

    async def story(world: World) -> None:
        client = world.client
        handle = await client.start(shop.wait, input="go", instance_id="o", tags={"kind": "test"})
        seen["running"] = [each.id for each in (await client.list(status="running", tags={"kind": "test"})).items]
        seen["tree"] = (await client.tree("o")).status
        await handle.raise_event("go", 1)
        await handle.wait()
        seen["copy"] = str(await client.rerun("o", new_id="p"))
        await client.raise_event("p", "go", 2)
        seen["output"] = (await client.wait("p")).output
        seen["last"] = "executionCompleted" in (await client.history("p")).items[-1]
        plan = await client.plan_bulk("purge", status="completed")
        operation = await client.bulk("purge", plan.plan)
        while (await client.operation(operation.id)).state == "RUNNING":
            await world.sleep(0.5)
        seen["count"] = (plan.matches, [each.count for each in (await client.count()).counts])
        with pytest.raises(ServerRefused, match="needs the event_id"):
            await client.repair("o", "complete")

    attempt = succeed(calm(shop.app, story))
    assert seen == {
        "running": ["o"], "tree": "RUNNING", "copy": "p", "output": 2, "last": True, "count": (2, [0]),
    }  # fmt: skip
    assert "client   asks to rerun o" in attempt.story
    assert "client   asks for a bulk purge" in attempt.story
    # And it takes the same steps again.
    assert calm(shop.app, story).digest == attempt.digest


def test_an_activity_that_is_tried_in_vain_is_repaired() -> None:
    app, broken = App("repaired"), [True]

    @app.activity
    async def charge(ctx: ActivityContext, order: str) -> str:
        if broken:
            raise ValueError("the card is refused")
        return order

    @app.workflow
    async def buy(ctx: WorkflowContext, order: str) -> Any:
        return await ctx.call_activity(
            charge,
            input=order,
            retry_policy=RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=5),
        )

    async def story(world: World) -> None:
        broken[:] = [True]
        handle = await world.client.start(buy, input="o", instance_id="o", if_exists="return")
        await world.sleep(10)
        described = await world.client.describe("o")
        assert described is not None
        assert described.waiting_for
        [wait] = described.waiting_for
        broken.clear()
        await world.client.repair("o", "retry", event_id=wait.event_id)
        assert await handle.result() == "o"
        assert world.now().hour == 0

    succeed(calm(app, story))


@pytest.mark.parametrize("lost", ["answer.lost#3", "request.lost#3", "kill.unheard#2"])
def test_a_rerun_without_an_answer_is_repeated_and_is_one_instance(lost: str) -> None:
    shop, found = Shop(), list[str]()

    async def story(world: World) -> None:
        await an_order(world, shop)
        found.append(str(await world.client.rerun("o", new_id="p")))
        await world.client.terminate("p")
        found.extend(sorted([each.id async for each in world.client.instances()]))

    attempt = succeed(in_world(shop.app, story, lost))
    assert found == ["p", "o", "p"]
    assert "asks to rerun o again: the " in attempt.story


def test_the_client_that_asks_once_hears_of_a_lost_answer() -> None:
    shop, found = Shop(), list[str]()

    async def story(world: World) -> None:
        await an_order(world, shop)
        with pytest.raises(ConnectionLost, match="the answer was lost"):
            await world.client_once.rerun("o", new_id="p")
        found.extend([each.id async for each in world.client.instances(order="id")])
        await world.client.terminate("p")

    succeed(in_world(shop.app, story, "answer.lost#3"))
    assert found == ["o", "p"]


def _followed(*, kill: bool) -> tuple[Attempt, list[str]]:
    shop, found = Shop(), list[str]()

    async def story(world: World) -> None:
        async with world.client.events() as events:
            async for event in events:
                if event.kind == "ready":
                    await an_order(world, shop)
                    if kill:
                        world.kill()
                else:
                    found.append(f"{event.data['id']} {event.data['status']}")
                    if found[-1] == "o COMPLETED" and not kill:
                        return

    return calm(shop.app, story), found


def test_events_are_followed_until_the_story_leaves_them() -> None:
    attempt, found = _followed(kill=False)
    succeed(attempt)
    assert found[-1] == "o COMPLETED"


def test_a_stream_breaks_with_its_host() -> None:
    attempt, _ = _followed(kill=True)
    assert isinstance(attempt.error, ConnectionLost)
