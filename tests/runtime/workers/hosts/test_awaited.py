"""An instance whose workflow only other hosts have waits, takes its events, and continues at a host with the code."""

import anyio
import pytest

from perdure.runtime.errors import InstanceStalled
from perdure.runtime.history.status import Status
from perdure.runtime.operations.reading.waiting import WaitKind

from ....support.workflows.shared_engines import SharedEngine, SharedEngines
from ....support.workflows.two_codes import TwoCodes, add, completes, end_of, status_of, story


async def begin(engine: SharedEngine, engines: SharedEngines, name: str, given: str | None = None) -> str:
    """Begin an instance that an engine has."""
    instance_id = engines.id_at(engine, name)
    return await engine.engine.facade.start(name, instance_id=instance_id, input=given)


async def replace(engine: SharedEngine, engines: SharedEngines, two: TwoCodes) -> SharedEngine:
    """Stop an engine, and begin one with the new code in its place."""
    await engine.stop()
    return await add(engines, two, "new")


def test_it_waits_at_a_host_with_the_old_code_and_goes_on_after_the_deploy() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        instance_id = await begin(old, engines, "new_waits")
        await anyio.sleep(1)
        # The instance is not stalled, takes events, and shows its waits.
        for who in ("a", "b"):
            await new.engine.facade.raise_event(instance_id, "go", f'"{who}"')
        assert await status_of(instance_id, new) is Status.PENDING
        for each in engines.engines:
            found = await each.engine.management.views.descriptions.describe(instance_id)
            assert found is not None
            assert [(waits.kind, waits.name) for waits in found.waiting_for] == [(WaitKind.CODE, "new_waits")]
        await replace(old, engines, two)
        await completes(instance_id, new, "a b by new")

    story(tell, "old", "new")


def test_one_that_has_run_is_not_stalled_when_it_moves_to_the_old_code_and_back() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        # Given an instance that has run with the new code,
        instance_id = await begin(new, engines, "new_waits")
        await new.engine.facade.raise_event(instance_id, "go", '"a"')
        await anyio.sleep(0.5)
        # when its host dies, and the others have the old code,
        new.kill()
        await anyio.sleep(20)
        assert await status_of(instance_id, old) is Status.RUNNING
        await old.engine.facade.raise_event(instance_id, "go", '"b"')
        await anyio.sleep(1)
        assert await status_of(instance_id, old) is Status.RUNNING
        # and the next host with the new code gets it,
        third = await replace(old, engines, two)
        # then it continues.
        await completes(instance_id, third, "a b by new")

    story(tell, "old", "new")


@pytest.mark.parametrize("has_run", [False, True])
def test_if_the_code_is_gone_for_good_it_fails_or_stalls_as_on_one_host(has_run: bool) -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        instance_id = await begin(new if has_run else old, engines, "new_waits")
        await anyio.sleep(1)
        new.kill()
        began_s = anyio.current_time()
        await anyio.sleep(10)
        if has_run:
            await old.engine.facade.raise_event(instance_id, "go", '"a"')
        await anyio.sleep(45)
        assert await status_of(instance_id, old) is (Status.RUNNING if has_run else Status.PENDING)
        await anyio.sleep(10)
        if has_run:
            with pytest.raises(InstanceStalled):
                await old.engine.facade.raise_event(instance_id, "go", '"b"')
        else:
            state = await end_of(instance_id, old)
            assert state.status is Status.FAILED
            assert state.failure is not None
            assert "was not registered" in state.failure.message
        assert anyio.current_time() - began_s < 70

    story(tell, "old", "new")


def test_children_wait_too() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        parents = []
        for number in range(8):
            instance_id = engines.id_at(old if number % 2 else new, f"p{number}")
            await new.engine.facade.start("parent", instance_id=instance_id, input='"new_waits"')
            await anyio.sleep(0.2)
            for who in ("a", "b"):
                await new.engine.facade.raise_event(f"{instance_id}.child", "go", f'"{who}"')
            parents.append(instance_id)
        await replace(old, engines, two)
        for each in parents:
            await completes(each, new, "a b by new")

    story(tell, "old", "new")


def test_it_is_terminated_and_purged_while_it_waits() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        instance_id = await begin(old, engines, "new_waits")
        await anyio.sleep(0.5)
        awaited = old.engine._first.awaited
        assert awaited is not None
        assert awaited.counts == {"new_waits": 1}
        await new.engine.client.terminate(instance_id)
        await anyio.sleep(0.1)
        assert await status_of(instance_id, old) is Status.TERMINATED
        assert awaited.counts == {}
        await new.engine.client.purge(instance_id)
        assert await old.engine.facade.inspect(instance_id) is None

    story(tell, "old", "new")


def test_the_log_tells_of_the_first_one_of_a_workflow(caplog: pytest.LogCaptureFixture) -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        for n in range(3):
            instance_id = engines.id_at(old, f"i{n}")
            await new.engine.facade.start("new_waits", instance_id=instance_id, input=None)
        await anyio.sleep(1)
        lines = [record for record in caplog.records if getattr(record, "event", "") == "code_awaited"]
        assert [line.workflow for line in lines] == ["new_waits"]  # type: ignore[attr-defined]
        assert f"{new.membership.me} has it" in lines[0].getMessage()

    story(tell, "old", "new")
