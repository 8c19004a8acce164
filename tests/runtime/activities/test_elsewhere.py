"""An activity that its host does not have is performed by one that has it, once, and fails only if nobody has it."""

from collections.abc import Callable, Sequence
from typing import cast

import anyio
import pytest

from perdure import Settings
from perdure.actors.cluster.peers import AppPeers
from perdure.actors.errors import FrameTooLong, PerdureError
from perdure.journal.journal import Journal
from perdure.runtime.activities.elsewhere import CHARS_MAX, JOBS_MAX, ActivitiesElsewhere
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import Invoke
from perdure.runtime.workers.hosts.code import CodeKind, CodeOfHosts
from perdure.runtime.workers.lent import activity_address
from perdure.testing.virtual_time import run_virtually

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


class ScriptedHosts:
    """Other hosts with the code of an activity, which answer as a script says. They are peers, and know their code."""

    def __init__(self, script: Callable[[Sequence[Invoke]], Sequence[bool]]) -> None:
        self.names = ["first", "second"]
        self.refusals: set[str] = set()
        self.asked: list[tuple[str, list[int]]] = []  # hosts, and the tasks that they were asked for
        self._script = script

    def answer(self, method: object, function: object) -> None:
        """Nobody asks."""

    def listen(self, function: object) -> None:
        """No connection changes."""

    def follow(self, function: object) -> None:
        """No host changes."""

    def find(self, host: str) -> str:
        return host

    async def call(self, host: str, method: object, invokes: Sequence[Invoke]) -> Sequence[bool]:
        self.asked.append((host, [each.task_id for each in invokes]))
        return self._script(invokes)

    def hosts(self, kind: CodeKind, name: str) -> list[str]:
        return [host for host in self.names if host not in self.refusals]

    def may_have(self, kind: CodeKind, name: str) -> bool:
        return bool(self.hosts(kind, name))

    def refused(self, host: str, kind: CodeKind, name: str) -> None:
        self.refusals.add(host)


def invoke_of(task_id: int, given: str = "1") -> Invoke:
    return Invoke("step", given, "i", "run", task_id, f"key-{task_id}")


def asked_for(hosts: ScriptedHosts, *invokes: Invoke) -> tuple[list[int], dict[int, str]]:
    """Have activities performed elsewhere.

    Returns:
        The tasks that come back because no host has them, and the failures of tasks.
    """
    back: list[int] = []
    failures: dict[int, str] = {}

    async def main() -> None:
        code, peers = cast(CodeOfHosts, hosts), cast(AppPeers, hosts)
        elsewhere = ActivitiesElsewhere(code, peers, now_us=lambda: 0, journal=Journal("test"))
        elsewhere.receive = lambda _, invoke: back.append(invoke.task_id)
        elsewhere.fail = lambda invoke, failure: failures.update({invoke.task_id: failure.message})
        async with anyio.create_task_group() as tasks:
            await tasks.start(elsewhere.run)
            for invoke in invokes:
                assert elsewhere.takes(activity_address(invoke.execution_id, invoke.task_id), invoke, None)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()

    run_virtually(main)
    return back, failures


def test_of_those_that_are_too_long_together_only_the_one_that_is_too_long_alone_fails() -> None:
    # Given hosts to which no more than nine characters of input can be sent at once,
    def refuse_long(invokes: Sequence[Invoke]) -> Sequence[bool]:
        if (found := sum(len(each.input or "") for each in invokes)) > 9:
            raise FrameTooLong(found, 9)
        return [True] * len(invokes)

    # when one is asked for four activities, one of which has more,
    hosts = ScriptedHosts(refuse_long)
    hosts.names = ["only"]
    back, failures = asked_for(hosts, *(invoke_of(n, "long enough" if n == 2 else "1234") for n in range(4)))
    # then the others are performed there, and that one fails with a sentence.
    assert hosts.asked == [("only", [0, 1, 2, 3]), *(("only", [n]) for n in range(4))]
    assert back == []
    assert list(failures) == [2]
    assert failures[2].startswith("this has 11 bytes, and hosts of a daemon send each other at most 9 at once.")


def test_activities_with_long_inputs_are_asked_for_in_several_requests() -> None:
    hosts = ScriptedHosts(lambda invokes: [True] * len(invokes))
    hosts.names = ["only"]
    most = "x" * (CHARS_MAX * 2 // 3)
    assert asked_for(hosts, invoke_of(0, most), invoke_of(1, most), *map(invoke_of, range(2, 40))) == ([], {})
    assert [tasks for _, tasks in hosts.asked] == [[0], list(range(1, 1 + JOBS_MAX)), list(range(1 + JOBS_MAX, 40))]


def test_a_host_that_cannot_answer_counts_as_one_that_refuses() -> None:
    # Given hosts that do not know the request, as those of a release without it,
    def fail(invokes: Sequence[Invoke]) -> Sequence[bool]:
        raise PerdureError("no such method")

    hosts = ScriptedHosts(fail)
    # when an activity is asked for, then each of them is asked once, and it comes back to be failed here.
    assert asked_for(hosts, invoke_of(0)) == ([0], {})
    assert sorted(host for host, _ in hosts.asked) == ["first", "second"]
