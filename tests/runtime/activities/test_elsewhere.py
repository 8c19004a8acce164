"""An activity that its host does not have is performed once by a host that has it, and fails only if no host has it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import anyio
import pytest
from msgspec.structs import replace

from perdure import Settings
from perdure.actors.cluster.method import HostMethod
from perdure.actors.cluster.peers import AppPeers
from perdure.actors.errors import FrameTooLong, PerdureError
from perdure.journal.journal import Journal
from perdure.runtime.activities.elsewhere import CHARS_MAX, JOBS_MAX, ActivitiesElsewhere
from perdure.runtime.activities.foreign import WITHDRAW_FOREIGN
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import Invoke, Withdraw
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
        # An activity that its own host has too is performed there.
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
        # then it continues at its host.
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
        self.told: list[tuple[str, str]] = []  # hosts, and the methods with which they were notified
        self.awaited = False  # whether a name that no host has may come
        self.back: Callable[[str, Sequence[tuple[str, int]]], None] = lambda host, ids: None  # a host gives jobs back
        self.changed: Callable[[], None] = lambda: None
        self._script = script

    def answer(self, method: object, function: Callable[..., None]) -> None:
        self.back = function

    def listen(self, function: object) -> None:
        """No connection changes."""

    def follow(self, function: Callable[[], None]) -> None:
        self.changed = function

    def find(self, host: str) -> str | None:
        return host

    def tell(self, host: str, method: HostMethod, *arguments: object) -> None:
        self.told.append((host, method.name))

    def reaches(self, host: str) -> bool:
        return True

    async def call(self, host: str, method: object, invokes: Sequence[Invoke]) -> Sequence[bool]:
        self.asked.append((host, [each.task_id for each in invokes]))
        return self._script(invokes)

    def hosts(self, kind: CodeKind, name: str) -> list[str]:
        return [host for host in self.names if host not in self.refusals]

    def may_have(self, kind: CodeKind, name: str) -> bool:
        return self.awaited or bool(self.hosts(kind, name))

    def refused(self, host: str, kind: CodeKind, name: str) -> None:
        self.refusals.add(host)


def invoke_of(task_id: int, given: str = "1") -> Invoke:
    return Invoke("step", given, "i", "run", task_id, f"key-{task_id}")


def with_hosts(hosts: ScriptedHosts, tell: Callable[[ActivitiesElsewhere], Awaitable[None]]) -> None:
    """Run a test of a host among these other hosts."""

    async def main() -> None:
        code, peers = cast(CodeOfHosts, hosts), cast(AppPeers, hosts)
        elsewhere = ActivitiesElsewhere(code, peers, now_us=lambda: 7, journal=Journal("test"))
        async with anyio.create_task_group() as tasks:
            await tasks.start(elsewhere.run)
            await tell(elsewhere)
            tasks.cancel_scope.cancel()

    run_virtually(main)


def takes(elsewhere: ActivitiesElsewhere, invoke: Invoke, holder: str | None = None) -> bool:
    return elsewhere.takes(activity_address(invoke.execution_id, invoke.task_id), invoke, holder)


def asked_for(hosts: ScriptedHosts, *invokes: Invoke) -> tuple[list[int], dict[int, str]]:
    """Have activities performed elsewhere.

    Returns:
        The tasks that come back because no host has them, and the failures of tasks.
    """
    back: list[int] = []
    failures: dict[int, str] = {}

    async def tell(elsewhere: ActivitiesElsewhere) -> None:
        elsewhere.receive = lambda _, invoke: back.append(invoke.task_id)
        elsewhere.fail = lambda invoke, failure: failures.update({invoke.task_id: failure.message})
        for invoke in invokes:
            assert takes(elsewhere, invoke)
        await anyio.sleep(1)

    with_hosts(hosts, tell)
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
    # Given hosts of a release that does not know the request,
    def fail(invokes: Sequence[Invoke]) -> Sequence[bool]:
        raise PerdureError("no such method")

    hosts = ScriptedHosts(fail)
    # when an activity is asked for, then each of them is asked once, and it comes back to be failed here.
    assert asked_for(hosts, invoke_of(0)) == ([0], {})
    assert sorted(host for host, _ in hosts.asked) == ["first", "second"]


def test_a_host_that_is_not_found_is_looked_for_again_after_a_pause() -> None:
    # Given a host that cannot be found for a second, without a report that it has gone,
    looks: list[float] = []

    class Unfound(ScriptedHosts):
        def find(self, host: str) -> str | None:
            looks.append(anyio.current_time())
            assert len(looks) < 100, "it is looked for without a pause"
            return host if looks[-1] - looks[0] > 1 else None

    # when an activity is requested, then this host does other work meanwhile, and the activity is performed later.
    hosts = Unfound(lambda invokes: [True])
    hosts.names = ["only"]

    async def tell(elsewhere: ActivitiesElsewhere) -> None:
        assert takes(elsewhere, invoke_of(0))
        await anyio.sleep(2)

    with_hosts(hosts, tell)
    assert hosts.asked == [("only", [0])]


def test_what_waits_for_a_host_is_counted_and_placed_when_one_comes() -> None:
    hosts = ScriptedHosts(lambda invokes: [True] * len(invokes))
    hosts.names, hosts.awaited = [], True

    async def tell(elsewhere: ActivitiesElsewhere) -> None:
        assert takes(elsewhere, invoke_of(0))
        assert takes(elsewhere, invoke_of(1))
        assert takes(elsewhere, invoke_of(1)), "it is known"
        assert {name: load.waiting for name, load in elsewhere.loads().items()} == {"step": 2}
        assert list(elsewhere.oldest_waiting()) == [("step", 7), ("step", 7)]
        hosts.names = ["new"]
        hosts.changed()
        await anyio.sleep(1)
        assert (len(elsewhere), elsewhere.loads(), list(elsewhere.oldest_waiting())) == (2, {}, [])

    with_hosts(hosts, tell)
    assert hosts.asked == [("new", [0, 1])]


def test_no_host_is_asked_for_a_job_that_may_be_lent_until_it_is_kept() -> None:
    # Given an activity that a host performs, one that its host has not agreed to yet, and one that waits for a host,
    hosts = ScriptedHosts(lambda invokes: [True] * len(invokes))
    hosts.names, hosts.awaited = ["only"], True

    async def tell(elsewhere: ActivitiesElsewhere) -> None:
        assert takes(elsewhere, invoke_of(0))
        await anyio.sleep(1)
        assert takes(elsewhere, invoke_of(1))
        hosts.refusals.add("only")
        assert takes(elsewhere, invoke_of(2))
        hosts.refusals.clear()
        # when their instance may move to another host,
        lent = elsewhere.lend(lambda instance_id: instance_id == "i")
        assert [(job.task_id, job.holder) for job in lent] == [(0, "only")]
        assert not elsewhere.lend(lambda instance_id: False)
        hosts.changed()
        await anyio.sleep(1)
        # then no host is asked for the other two before it is known that the instance stays.
        assert hosts.asked == [("only", [0])]
        elsewhere.keep(lambda instance_id: True)
        elsewhere.keep(lambda instance_id: True)  # one call does the same as two
        await anyio.sleep(1)
        assert len(elsewhere) == 3

    with_hosts(hosts, tell)
    assert hosts.asked == [("only", [0]), ("only", [1, 2])]


def test_what_was_performed_before_a_restart_is_asked_for_again_and_ends_there() -> None:
    hosts = ScriptedHosts(lambda invokes: [True] * len(invokes))

    async def tell(elsewhere: ActivitiesElsewhere) -> None:
        # The last owner of the instance knew the host that performs it.
        assert takes(elsewhere, invoke_of(0), "second")
        await anyio.sleep(1)
        assert not hosts.asked
        assert takes(elsewhere, replace(invoke_of(0), again=True))
        await anyio.sleep(1)
        assert hosts.asked == [("second", [0])]
        # It is withdrawn with its instance, and the host that performs it is notified.
        address = activity_address("run", 0)
        elsewhere.withdraw(Withdraw("i", "run", (0,)), [address])
        assert (len(elsewhere), hosts.told) == (0, [("second", WITHDRAW_FOREIGN.name)])

    with_hosts(hosts, tell)


def test_what_a_host_gives_back_goes_to_another_one() -> None:
    hosts = ScriptedHosts(lambda invokes: [True] * len(invokes))

    async def tell(elsewhere: ActivitiesElsewhere) -> None:
        assert takes(elsewhere, invoke_of(0), "second")
        hosts.back("first", [("run", 0)])  # which has it not
        hosts.back("second", [("run", 0), ("run", 9)])
        hosts.refusals.add("second")
        hosts.back("second", [("run", 0)])
        await anyio.sleep(1)
        elsewhere.stop()
        assert len(elsewhere) == 0

    with_hosts(hosts, tell)
    assert hosts.asked[-1] == ("first", [0])
