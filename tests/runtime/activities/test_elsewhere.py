"""An activity that its host does not have is performed by one that has it, once, and fails only if nobody has it."""

import anyio
import pytest

from perdure import Settings
from perdure.runtime.history.status import Status

from ...support.workflows.shared_engines import SharedEngines
from ...support.workflows.two_codes import TwoCodes, add, at_rest, begun_at, completes, end_of, status_of, story


def test_it_is_performed_by_a_host_that_has_it() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, _new = engines.engines
        instance_id = await begun_at(old, engines, two, "new_step")
        await completes(instance_id, old, "1 by new")
        # What its own host has too stays there.
        await completes(await begun_at(old, engines, two, "both"), old, "1 by old")
        await anyio.sleep(1)
        assert at_rest(engines.engines)

    story(tell, "old", "new")


def test_a_name_that_no_host_has_fails_at_once() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, _ = engines.engines
        began_s = anyio.current_time()
        instance_id = engines.id_at(old)
        await old.engine.facade.start("calls", instance_id=instance_id, input='"nobody"')
        state = await end_of(instance_id, old)
        assert "'nobody' was not registered in app 'shop'! Nor has its other host." in (state.output or "")
        assert anyio.current_time() - began_s < 1

    story(tell, "old", "new")


def test_a_name_whose_last_host_is_restarted_is_waited_for() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        instance_id = await begun_at(old, engines, two, "new_step")
        # When the only host that has it is killed while it performs it, and is back 30 s later,
        new.kill()
        await anyio.sleep(30)
        assert await status_of(instance_id, old) is Status.RUNNING
        await add(engines, two, "new")
        # then it is performed there.
        await completes(instance_id, old, "1 by new")
        assert [code for code, _ in two.begun] == ["new", "new"]

    story(tell, "old", "new")


def test_a_name_that_has_gone_for_good_fails_in_a_minute() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        two.lasts_s = 1_000
        instance_id = await begun_at(old, engines, two, "new_step")
        new.kill()
        began_s = anyio.current_time()
        state = await end_of(instance_id, old)
        assert "was not registered" in (state.output or "")
        assert 60 <= anyio.current_time() - began_s < 70

    story(tell, "old", "new")


def test_another_host_that_has_it_takes_the_place_of_one_that_dies() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, *news = engines.engines
        instance_id = await begun_at(old, engines, two, "new_step")
        performer = next(each for each in news if len(each.engine._first.activities))
        performer.kill()
        began_s = anyio.current_time()
        await completes(instance_id, old, "1 by new")
        assert anyio.current_time() - began_s < 10
        assert len(two.begun) == 2

    story(tell, "old", "new", "new")


def test_a_host_that_is_cut_off_is_not_waited_for() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, *news = engines.engines
        two.lasts_s = 5
        instance_id = await begun_at(old, engines, two, "new_step")
        performer = next(each for each in news if len(each.engine._first.activities))
        engines.network.cut(old.address, performer.address)
        engines.network.cut(next(each for each in news if each is not performer).address, performer.address)
        await completes(instance_id, old, "1 by new")
        assert len(two.begun) == 2

    story(tell, "old", "new", "new")


def test_a_host_that_leaves_gives_back_what_it_has_not_begun_and_ends_what_it_has() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        begun = await begun_at(old, engines, two, "new_step")
        waiting = engines.id_at(old, "late")
        await old.engine.facade.start("calls", instance_id=waiting, input='"new_step"')
        await anyio.sleep(0.2)
        assert len(two.begun) == 1, "there is room for one"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(new.stop)
            await completes(begun, old, "1 by new")
        await add(engines, two, "new")
        await completes(waiting, old, "1 by new")
        assert [each for _, each in two.begun] == [begun, waiting]

    story(tell, "old", "new", settings=Settings(activities_max=1))


@pytest.mark.parametrize("code", ["old", "new"])
def test_it_is_performed_once_although_its_instance_moves(code: str) -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        first, new = engines.engines
        two.lasts_s = 8
        instance_id = await begun_at(first, engines, two, "new_step")
        # When its host leaves, and one with the old or the new code gets the instance,
        third = await add(engines, two, code)
        await first.stop()
        await anyio.sleep(1)
        for owner in (third, new):
            if engines.owner_of(instance_id) is owner:
                break
        await completes(instance_id, owner, "1 by new")
        # then it goes on where it is.
        assert len(two.begun) == 1
        await anyio.sleep(1)
        assert at_rest(engines.running)

    story(tell, "old", "new")


def test_it_is_performed_once_although_its_instance_moves_and_more_hosts_have_it_by_then() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        first, _new = engines.engines
        two.lasts_s = 8
        ids = [await begun_at(first, engines, two, "new_step") for _ in range(8)]
        await add(engines, two, "new")
        third = await add(engines, two, "old")
        await first.stop()
        await anyio.sleep(0.5)
        assert any(engines.owner_of(each) is third for each in ids)
        for each in ids:
            await completes(each, third, "1 by new")
        assert len(two.begun) == len(ids)

    story(tell, "old", "new")


def test_one_that_has_ended_is_not_performed_again_if_the_host_of_its_instance_dies_before_it_hears() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        first, _second, new = engines.engines
        instance_id = await begun_at(first, engines, two, "new_step")
        # Given an answer that does not arrive any more,
        engines.network.cut(new.address, first.address, one_way=True)
        await anyio.sleep(two.lasts_s - 0.5)
        first.kill()
        # when another host gets the instance, and asks for the activity,
        await completes(instance_id, engines.running[0], "1 by new")
        # then the answer goes there.
        assert len(two.begun) == 1

    story(tell, "old", "old", "new")


def test_a_broken_connection_performs_nothing_twice() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        for number in range(6):
            instance_id = engines.id_at(old, f"i{number}")
            await old.engine.facade.start("calls", instance_id=instance_id, input='"new_step"')
            await anyio.sleep(0.001 * number)
            engines.network.close(old.address, new.address)
            await anyio.sleep(0.3)
            engines.network.close(new.address, old.address)
            await completes(instance_id, old, "1 by new")
        assert len(two.begun) == 6

    story(tell, "old", "new")


def test_it_is_cancelled_if_its_instance_is_terminated() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, _ = engines.engines
        two.lasts_s = 100
        instance_id = await begun_at(old, engines, two, "new_step")
        await old.engine.client.terminate(instance_id)
        await anyio.sleep(1)
        assert two.cancelled == [instance_id]
        assert at_rest(engines.engines)

    story(tell, "old", "new")


def test_many_are_shared_out_among_the_hosts_that_have_them() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, *news = engines.engines
        instance_id = engines.id_at(old)
        await old.engine.facade.start("many", instance_id=instance_id, input='"new_step"')
        await anyio.sleep(1)
        shares = [len(each.engine._first.activities) for each in news]
        assert sum(shares) == 100
        assert min(shares) > 30
        state = await end_of(instance_id, old)
        assert (state.status, state.output) == (Status.COMPLETED, "100")
        assert len(two.begun) == 100

    story(tell, "old", "new", "new")
