"""A world gives a story fakes, a client, chance and time, and checks what must hold."""

from datetime import UTC, datetime, timedelta

import pytest

from perdure import Status
from perdure.testing import ConnectionLost, Faults, InvariantFailed, SimulationMisuse, Stuck, World

from .shop import Bank, Shop, calm, in_world, succeed


def test_what_must_always_hold_is_checked_as_soon_as_a_fake_has_done_something() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        world.always(lambda: len(bank.charges) < 2, "one charge")
        await world.client.run(shop.buy, input="o", instance_id="o")
        raise AssertionError("the world goes on")

    attempt = in_world(shop.app, story, "kill.bank.charge#0")
    assert str(attempt.error) == "one charge: it does not hold"
    assert attempt.story.splitlines()[-1].endswith("charge o, time 2")


def test_a_function_with_asserts_is_named_by_itself() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        @world.always
        def nothing_is_sold() -> None:
            raise AssertionError("but it is")

        await world.client.start(shop.wait, input="x")

    assert str(calm(shop.app, story).error) == "nothing_is_sold: but it is"


def test_what_must_hold_at_the_end_is_checked_after_the_last_instance() -> None:
    shop, bank = Shop(), Bank()
    lengths: list[int] = []

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)

        @world.finally_(name="all is charged")
        def check() -> bool:
            lengths.append(len(bank.charges))
            return False

        await world.client.start(shop.buy, input="o", instance_id="o")

    assert str(calm(shop.app, story).error) == "all is charged: it does not hold"
    assert lengths == [1]


def test_what_waits_is_no_check() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        async def check() -> None: ...

        world.always(check)

    assert isinstance(calm(shop.app, story).error, SimulationMisuse)


def test_choices_of_the_story_are_the_lowest_in_the_calm_world_and_have_the_name_of_who_asks() -> None:
    shop, seen = Shop(), list[object]()

    async def place_orders(world: World) -> None:
        seen.extend([world.pick(2, 5), world.choose(["a", "b"]), world.pick(0, 9, name="size"), world.random.random()])

    succeed(calm(shop.app, place_orders))
    attempt = in_world(shop.app, place_orders, "story.place_orders#0=3 story.place_orders#1 story.size#0=9")
    assert seen == [2, "a", 0, 0.0, 5, "b", 9, 0.0]
    assert attempt.choices.taken == {
        ("story.place_orders", 0): 3,
        ("story.place_orders", 1): 1,
        ("story.size", 0): 9,
    }


def test_the_date_is_that_of_a_new_year_and_passes_in_no_time() -> None:
    shop, dates = Shop(), list[datetime]()

    async def story(world: World) -> None:
        await world.sleep(timedelta(days=90))
        dates.append(world.now())
        await world.sleep(1.5)
        dates.append(world.now())

    succeed(calm(shop.app, story, within=timedelta(days=365)))
    assert dates[0].replace(microsecond=0) == datetime(2026, 4, 1, tzinfo=UTC)
    assert dates[1] - dates[0] >= timedelta(seconds=1.5)


def test_settling_waits_for_all_instances() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        for n in range(3):
            await world.client.start(shop.buy, input=f"o{n}", instance_id=f"o{n}")
        await world.settle()
        for n in range(3):
            state = await world.client.get(f"o{n}")
            assert state is not None
            assert state.status is Status.COMPLETED

    succeed(calm(shop.app, story))


def test_settling_says_who_waits_for_what_since_when() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        await world.client.start(shop.wait, input="approval", instance_id="o1")
        await world.settle()

    error = calm(shop.app, story, within=timedelta(hours=1)).error
    assert isinstance(error, Stuck)
    assert "o1 (wait) waits for event 'approval' since 2026-01-01 00:00:00" in str(error)


def test_an_instance_that_waits_for_an_event_at_the_end_is_asleep_and_no_failure() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        await world.client.start(shop.wait, input="approval", instance_id="o1")

    succeed(calm(shop.app, story))


def test_a_story_that_never_ends_is_stuck() -> None:
    import anyio  # noqa: PLC0415

    shop = Shop()

    async def story(world: World) -> None:
        await anyio.sleep_forever()

    error = calm(shop.app, story, within=timedelta(hours=1)).error
    assert isinstance(error, Stuck)
    assert "the story has not ended" in str(error)


def test_a_client_that_asks_once_hears_of_a_lost_answer() -> None:
    shop, heard = Shop(), list[str]()

    async def story(world: World) -> None:
        with pytest.raises(ConnectionLost) as lost:
            await world.client_once.start(shop.wait, input="x", instance_id="o")
        heard.append(str(lost.value))

    succeed(in_world(shop.app, story, "answer.lost#0"))
    assert heard == ["the answer was lost; it may have been done, or not"]


def test_a_kill_by_hand_ends_the_host_and_nothing_else() -> None:
    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        handle = await world.client.start(shop.wait, input="go", instance_id="o")
        world.kill()
        await handle.raise_event("go", "went")
        assert await handle.result() == "went"

    assert "killed: the story has" in succeed(calm(shop.app, story)).story


def test_a_deploy_by_hand_starts_the_host_with_other_code() -> None:
    old, new = Shop(), Shop()

    @new.app.workflow
    async def only_new(ctx: object) -> str:
        return "new"

    async def story(world: World) -> None:
        await world.deploy(new.app)
        assert await world.client.run("only_new", instance_id="o") == "new"

    succeed(calm(old.app, story))


def test_a_clock_is_set_where_it_may_be() -> None:
    shop, dates = Shop(), list[datetime]()

    async def story(world: World) -> None:
        dates.append(world.now())
        world.set_clock(timedelta(hours=-1))
        dates.append(world.now())

    assert isinstance(calm(shop.app, story).error, SimulationMisuse)
    dates.clear()
    succeed(calm(shop.app, story, faults=Faults(clock=True)))
    assert dates[1] - dates[0] == timedelta(hours=-1)


def test_what_is_no_app_and_no_change_of_the_date_is_refused() -> None:
    shop = Shop()

    async def deploy(world: World) -> None:
        await world.deploy("v2")  # type: ignore[arg-type]

    async def set_clock(world: World) -> None:
        world.set_clock(world.now())  # type: ignore[arg-type]

    assert "deploy takes a perdure.App" in str(calm(shop.app, deploy).error)
    error = calm(shop.app, set_clock, faults=Faults(clock=True)).error
    assert isinstance(error, SimulationMisuse)
    assert "set_clock takes by how much" in str(error)


def test_what_needs_several_hosts_is_refused() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        world.partition("a", "b")

    assert "several hosts" in str(calm(shop.app, story).error)


@pytest.mark.parametrize("name", ["kill", "store", "no name", "bank"])
def test_a_name_of_a_fake_is_its_own(name: str) -> None:
    shop = Shop()

    async def story(world: World) -> None:
        world.outside(Bank())
        world.outside(Bank(), name=name)

    assert isinstance(calm(shop.app, story).error, SimulationMisuse)


def test_sometimes_is_counted() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        world.sometimes("two orders", world.pick(1, 2) == 2)
        world.sometimes("any")

    assert calm(shop.app, story).facts.met == {"two orders": 0, "any": 1}
    assert in_world(shop.app, story, "story.story#0").facts.met["two orders"] == 1


def test_histories_are_saved_one_of_each_shape(tmp_path_factory: pytest.TempPathFactory) -> None:
    shop, folder, new = Shop(), tmp_path_factory.mktemp("corpus"), list[int]()

    async def story(world: World) -> None:
        shop.bank = world.outside(Bank())
        for n in range(3):
            await world.client.run(shop.buy, input=f"o{n}", instance_id=f"o{n}")
        new.append(await world.save_histories(folder))

    succeed(calm(shop.app, story))
    succeed(calm(shop.app, story))
    assert new == [1, 0]
    assert [file.name.partition("-")[0] for file in folder.iterdir()] == ["buy"]


def test_a_failure_of_what_must_hold_is_one_error_and_not_a_group() -> None:
    import anyio  # noqa: PLC0415

    shop, bank = Shop(), Bank()

    async def story(world: World) -> None:
        shop.bank = world.outside(bank)
        world.always(lambda: not bank.charges, "nothing is charged")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.client.start, shop.buy)
            await world.client.run(shop.buy, input="o", instance_id="o")

    assert isinstance(calm(shop.app, story).error, InvariantFailed)
