"""An activity of another host is performed if the app has it, once, and refused otherwise; it is never passed on."""

from collections.abc import Sequence

import anyio

from perdure import Settings
from perdure.actors.cluster.peers import AppPeers
from perdure.runtime.activities.foreign import PERFORM
from perdure.runtime.instance.message import Invoke

from ...support.workflows.shared_engines import SharedEngine, SharedEngines
from ...support.workflows.two_codes import TwoCodes, add, completes, story


async def asked(by: SharedEngine, of: SharedEngine, *invokes: Invoke) -> Sequence[bool]:
    """Request activities of an engine as another engine does, and return its verdicts."""
    peers: AppPeers | None = by.engine._first.peers
    assert peers is not None
    outbound = peers.find(of.membership.me)
    assert outbound is not None
    verdicts: Sequence[bool] = await peers.call(outbound, PERFORM, invokes)
    return verdicts


def an_activity(name: str, task_id: int = 1) -> Invoke:
    return Invoke(name, "1", "i", "e", task_id, f"e:{task_id}")


def test_one_that_the_app_has_not_is_refused_and_not_passed_on() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        # Given a host with two requests: for an activity that only the requesting host has, and for one of its own,
        verdicts = await asked(new, old, an_activity("new_step"), an_activity("old_step", 2), an_activity("nobody", 3))
        # then it performs only its own, and asks no host for the other.
        assert verdicts == [False, True, False]
        await anyio.sleep(3)
        assert two.begun == [("old", "i")]

    story(tell, "old", "new")


def test_one_that_is_under_way_or_has_ended_is_not_begun_again() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        for _ in range(3):
            assert await asked(old, new, an_activity("new_step")) == [True]
            await anyio.sleep(two.lasts_s - 0.5)
        assert len(two.begun) == 1

    story(tell, "old", "new")


def test_a_host_that_leaves_refuses_what_it_has_not_begun() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        assert await asked(old, new, an_activity("new_step")) == [True]
        await anyio.sleep(0.1)
        new.engine._first.leave()
        assert await asked(old, new, an_activity("new_step"), an_activity("new_step", 2)) == [True, False]

    story(tell, "old", "new")


def test_what_two_hosts_think_that_the_other_has_is_soon_known_to_be_nowhere() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        one, other = engines.engines
        # Given two hosts, each of which believes that the other has a name,
        third = await add(engines, two, "new")
        await anyio.sleep(1)
        for each, peer in ((one, other), (other, one)):
            code = each.engine._first.code
            assert code is not None
            code._told[peer.membership.me] = code._told[third.membership.me]
            code._tell()
        third.kill()
        # when an activity of that name is requested,
        instance_id = engines.id_at(one, "i")
        await one.engine.facade.start("calls", instance_id=instance_id, input='"new_step"')
        await anyio.sleep(30)
        assert two.begun == []
        # then it fails for neither, and a host that comes with the name performs it.
        await add(engines, two, "new")
        await completes(instance_id, one, "1 by new")

    story(tell, "old", "old")


def test_its_limit_holds_for_the_activities_of_all_hosts_together() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        first, second, new = engines.engines
        ids = [engines.id_at(each, f"i{number}") for number, each in enumerate((first, second, new))]
        for each in ids:
            await new.engine.facade.start("calls", instance_id=each, input='"new_step"')
        await anyio.sleep(two.lasts_s / 2)
        assert len(two.begun) == 1
        for each in ids:
            await completes(each, new, "1 by new")
        assert len(two.begun) == 3

    story(tell, "old", "old", "new", settings=Settings(activities_max=1))
