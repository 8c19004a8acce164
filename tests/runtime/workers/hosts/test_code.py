"""Hosts exchange the names of their workflows and activities, and work with a missing name waits."""

import anyio

from perdure import App
from perdure.runtime.workers.hosts.code import AWAITED_S, CHANGED, CodeKind, CodeNames, CodeOfHosts

from ....support.workflows.shared_engines import SharedEngine, SharedEngines
from ....support.workflows.two_codes import TwoCodes, add, story

ACTIVITY, WORKFLOW = CodeKind.ACTIVITY, CodeKind.WORKFLOW


def code_of(engine: SharedEngine) -> CodeOfHosts:
    """The names of other hosts' code that an engine knows."""
    code = engine.engine._first.code
    assert code is not None
    return code


def part(engines: SharedEngines, one: SharedEngine, other: SharedEngine) -> None:
    """End the connections of two engines, and refuse new ones."""
    engines.network.cut(one.address, other.address)
    engines.network.close(one.address, other.address)
    engines.network.close(other.address, one.address)


def test_each_host_knows_which_others_have_a_name() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new, third = engines.engines
        assert code_of(old).hosts(ACTIVITY, "new_step") == sorted([new.membership.me, third.membership.me])
        assert code_of(old).hosts(WORKFLOW, "new_waits") == sorted([new.membership.me, third.membership.me])
        assert code_of(new).hosts(ACTIVITY, "old_step") == [old.membership.me]
        assert not code_of(old).may_have(ACTIVITY, "nobody's")
        assert not code_of(old).may_have(WORKFLOW, "new_step"), "that is an activity"

    story(tell, "old", "new", "new")


def test_a_host_that_leaves_has_no_code_and_is_waited_for() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        new.engine._first.leave()
        await anyio.sleep(0.1)
        assert code_of(old).hosts(ACTIVITY, "new_step") == []
        assert code_of(old).may_have(ACTIVITY, "new_step")
        await anyio.sleep(AWAITED_S)
        assert not code_of(old).may_have(ACTIVITY, "new_step")

    story(tell, "old", "new")


def test_a_host_that_joins_while_the_only_one_with_a_name_leaves_waits_for_that_name_too() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        new, _old = engines.engines
        new.engine._first.leave()
        third = await add(engines, two, "old")
        await anyio.sleep(1)
        assert code_of(third).hosts(ACTIVITY, "new_step") == []
        assert code_of(third).may_have(ACTIVITY, "new_step")
        assert not code_of(third).may_have(ACTIVITY, "nobody's")

    story(tell, "new", "old")


def test_a_host_that_was_away_for_a_moment_has_what_it_had() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        part(engines, old, new)
        await anyio.sleep(0.5)
        assert code_of(old).hosts(ACTIVITY, "new_step") == []
        assert code_of(old).living(ACTIVITY, "new_step") == [new.membership.me]
        engines.network.heal(old.address, new.address)
        await anyio.sleep(1)
        assert code_of(old).hosts(ACTIVITY, "new_step") == [new.membership.me]

    story(tell, "old", "new")


def test_a_host_that_has_not_told_may_have_any_name_for_a_while() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        (old,) = engines.engines
        # Given a host that joins, and cannot be reached,
        engines.network.cut(old.address, "e1")
        await add(engines, two, "new")
        await anyio.sleep(2)
        assert code_of(old).may_have(ACTIVITY, "anything")
        assert code_of(old).hosts(ACTIVITY, "anything") == []
        await anyio.sleep(AWAITED_S)
        assert not code_of(old).may_have(ACTIVITY, "anything")
        # When it can be reached, it sends its names.
        engines.network.heal(old.address, "e1")
        await anyio.sleep(1)
        assert code_of(old).may_have(ACTIVITY, "new_step")

    story(tell, "old")


def test_a_refused_name_is_no_more_that_hosts_until_it_tells_anew() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        host = new.membership.me
        code_of(old).refused(host, ACTIVITY, "new_step")
        assert code_of(old).hosts(ACTIVITY, "new_step") == []
        assert code_of(old).hosts(WORKFLOW, "new_waits") == [host]
        part(engines, old, new)
        await anyio.sleep(0.2)
        engines.network.heal(old.address, new.address)
        await anyio.sleep(1)
        assert code_of(old).hosts(ACTIVITY, "new_step") == [host]

    story(tell, "old", "new")


def test_a_list_that_comes_late_counts_for_nothing() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        new.engine._first.leave()
        await anyio.sleep(0.1)
        peers = new.engine._first.peers
        assert peers is not None
        peers.tell(old.membership.me, CHANGED, new.membership.me, CodeNames(0, ["late"], ["late"]))
        await anyio.sleep(0.1)
        assert not code_of(old).may_have(ACTIVITY, "late")

    story(tell, "old", "new")


def test_a_host_without_code_does_not_wait_for_a_host_that_has_not_reported() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        (first,) = engines.engines
        engines.app = None
        second = await engines.add()
        engines.network.cut(first.address, second.address)
        await anyio.sleep(2)
        third = await add(engines, two, "new")
        engines.network.cut(second.address, third.address)
        await anyio.sleep(1)
        assert not code_of(second).may_have(ACTIVITY, "anything")
        assert isinstance(two.new, App)

    story(tell, "old")


def test_a_host_tells_what_it_lacks_and_how_many_wait_for_it() -> None:
    async def tell(engines: SharedEngines, two: TwoCodes) -> None:
        old, new = engines.engines
        for number in range(3):
            instance_id = engines.id_at(old, f"i{number}")
            await new.engine.facade.start("new_waits", instance_id=instance_id, input=None)
        await anyio.sleep(0.5)
        for each in engines.engines:
            reports = await each.engine.management.reports.all()
            told = {name: (report.lacks, report.awaiting) for name, report in reports.items() if report is not None}
            assert told == {
                old.membership.me: (["activity new_step", "workflow new_waits"], 3),
                new.membership.me: (["activity old_step", "workflow old_waits"], 0),
            }

    story(tell, "old", "new")
