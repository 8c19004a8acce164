"""Hosts of one daemon: a request for an actor goes to the actor's owner, and nothing is lost on the way."""

from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.cluster.method import HostMethod
from perdure.actors.cluster.outbound import Outbound
from perdure.actors.errors import ActorFailed, HostLost, HostSilent, HostStopping, HostUnreachable, PerdureError
from perdure.actors.store.errors import StoreFailed
from perdure.actors.turn import Envelope
from perdure.actors.waiting.reply import Reply

from ...support.actors.counter_actor import Add, Break, Forget, Read, Tell
from ...support.actors.several_hosts import several_hosts

pytestmark = pytest.mark.anyio

GREET = HostMethod("greet", (str,), str)
WHO = HostMethod("who", (), int)
ODD = HostMethod("odd", (), None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # which the wires need


async def test_a_message_is_answered_by_the_owner_of_the_actor() -> None:
    async with several_hosts(3) as daemon:
        for index in range(3):
            there = daemon.counter_of(index)
            for member in daemon.members:
                await member.host.ask(there, Add(1))
            assert await daemon.members[0].host.ask(there, Read()) == 3
            assert [there.id in member.counters.activated for member in daemon.members].count(True) == 1


async def test_every_host_reads_and_lists_what_all_of_them_have() -> None:
    async with several_hosts(3) as daemon:
        addresses = [daemon.counter_of(index, name) for index in range(3) for name in "xy"]
        for address in addresses:
            await daemon.members[0].host.ask(address, Add(5))
        ids = sorted(address.id for address in addresses)
        for member in daemon.members:
            for address in addresses:
                inspection = await member.host.inspect(address)
                assert inspection is not None
                assert inspection.record == b"5"
                stored = await member.host.read(address)
                assert stored is not None
                assert list(stored.entries) == [b"+5"]
            assert await member.host.inspect(daemon.counter_of(0, "nobody")) is None
            assert await member.host.ids("counter", after=None, limit=100) == ids
            assert await member.host.ids("counter", after=ids[1], limit=2) == ids[2:4]


async def test_an_error_comes_back_as_what_it_is() -> None:
    async with several_hosts() as daemon:
        here, there = daemon.members[0], daemon.counter_of(1)
        with pytest.raises(ActorFailed, match="broken on purpose") as broken:
            await here.host.ask(there, Break())
        assert broken.value.address == there
        daemon.members[1].store.fail_next_commit()
        with pytest.raises(StoreFailed):
            await here.host.ask(there, Add(1))
        daemon.members[1].host.refuse()
        with pytest.raises(HostStopping):
            await here.host.ask(there, Add(1))


async def test_what_one_actor_tells_another_is_counted_until_its_commit_and_its_sender_then_retires() -> None:
    async with several_hosts() as daemon:
        here, there = daemon.counter_of(0), daemon.counter_of(1)
        await daemon.members[0].host.ask(here, Add(1))
        # Given an actor whose message to another host is not committed there yet,
        daemon.members[1].store.hold()
        await daemon.members[0].host.ask(here, Tell(there, Add(7)))
        await until(lambda: [there] == [address for address, _ in daemon.members[1].counters.turns])
        assert await daemon.members[0].store.active() == [here]
        # when it is,
        daemon.members[1].store.release()
        assert await daemon.members[0].host.ask(there, Read()) == 7
        # then a stop leaves nothing to recover.
        await daemon.members[0].stop()
        assert await daemon.members[0].store.inner.active() == []


async def test_what_was_not_acknowledged_is_sent_again_when_the_other_host_is_back() -> None:
    async with several_hosts() as daemon:
        here, there = daemon.counter_of(0), daemon.counter_of(1)
        one, other = daemon.members
        await other.stop()
        for amount in (1, 2, 3):
            await one.host.ask(here, Tell(there, Add(amount)))
        with pytest.raises(HostUnreachable, match="nothing of this request was done"):
            await one.host.ask(there, Read())
        assert not one.peers.connected
        await other.start_again(daemon.tasks)
        await until(lambda: one.peers.connected)
        assert await one.host.ask(there, Read()) == 6
        amounts = [body.amount for _, bodies in other.counters.turns for body in bodies if isinstance(body, Add)]
        assert amounts == [1, 2, 3]


async def test_who_stops_before_an_acknowledgement_leaves_a_mark_and_recovers() -> None:
    async with several_hosts() as daemon:
        here, there = daemon.counter_of(0), daemon.counter_of(1)
        one, other = daemon.members
        await one.host.ask(here, Add(1))
        await other.stop()
        await one.host.ask(here, Tell(there, Add(1)))
        await one.stop()
        assert await one.store.inner.active() == [here]
        async with anyio.create_task_group() as starts:
            starts.start_soon(one.start_again, daemon.tasks)
            starts.start_soon(other.start_again, daemon.tasks)
        await until(lambda: one.counters.recovered == [here.id])


async def test_a_caller_whose_answer_was_lost_with_the_host_learns_that_the_outcome_is_unknown() -> None:
    async with several_hosts() as daemon:
        one, other = daemon.members
        there = daemon.counter_of(1)
        await one.host.ask(there, Add(1))
        other.store.hold()
        errors: list[BaseException] = []

        async def ask() -> None:
            try:
                await one.host.ask(there, Add(1))
            except (HostLost, StoreFailed) as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await until(lambda: len(other.counters.turns) == 2)
            # As if the host had been killed.
            one.peers.outbound("host-1")._lose()
        assert isinstance(errors[0], HostLost)
        assert "may have happened" in str(errors[0])
        other.store.release()


async def test_a_watcher_sees_the_commits_of_another_host() -> None:
    async with several_hosts() as daemon:
        one, there = daemon.members[0].host, daemon.counter_of(1)
        with one.watch(there) as watch:
            await one.ask(there, Add(1))
            await watch.changed()
            assert watch.record == b"1"
            await one.ask(there, Forget())
            await watch.changed()
            assert watch.deleted
        # No news is sent when no host watches.
        await one.ask(there, Add(1))
        assert daemon.members[1].host._watches == {}


async def test_a_watcher_learns_that_it_may_have_missed_something_and_watches_on() -> None:
    async with several_hosts() as daemon:
        one, other = daemon.members
        there = daemon.counter_of(1)
        with one.host.watch(there) as watch:
            await other.stop()
            await watch.changed()
            assert watch.lost
            await other.start_again(daemon.tasks)
            await until(lambda: one.peers.connected)
            await one.host.ask(there, Add(4))
            await until(lambda: watch.record == b"4")


async def test_a_method_is_called_at_all_others() -> None:
    async with several_hosts(3) as daemon:
        for member in daemon.members:
            member.peers.answer(GREET, lambda greeting, index=member.membership.index: f"{greeting} {index}")
        assert await daemon.members[1].peers.ask_all(GREET, "hello") == ["hello 0", "hello 2"]


async def test_who_is_away_cannot_be_called_and_those_who_are_there_can() -> None:
    async with several_hosts(3) as daemon:
        for member in daemon.members:
            member.peers.answer(WHO, lambda index=member.membership.index: index)
        await daemon.members[1].stop()
        assert await daemon.members[0].peers.ask_reachable(WHO) == [2]
        with pytest.raises(HostUnreachable):
            await daemon.members[0].peers.ask_all(WHO)


async def test_a_method_that_breaks_raises_at_the_caller() -> None:
    def odd() -> None:
        raise ValueError("odd")

    async with several_hosts() as daemon:
        daemon.members[1].peers.answer(ODD, odd)
        with pytest.raises(PerdureError, match="ValueError: odd"):
            await daemon.members[0].peers.ask_all(ODD)


async def test_an_address_that_was_just_made_up_needs_no_look_into_any_store() -> None:
    async with several_hosts() as daemon:
        there = daemon.counter_of(1)
        assert await daemon.members[0].host.ask(there, Add(1), new=True) == 1
        assert [member.store.loads for member in daemon.members] == [0, 0]


async def test_a_message_for_an_actor_of_no_type_gets_an_error_and_breaks_nothing() -> None:
    # This cannot happen while all hosts agree; a host that is wrong must not end the other.
    async with several_hosts() as daemon:
        one, other = daemon.members
        reply = Reply()
        one.peers.outbound("host-1").deliver(Address("no-such-type", daemon.counter_of(1).id), Envelope(Read(), reply))
        with pytest.raises(ActorFailed):
            await reply.wait()
        assert await one.host.ask(daemon.counter_of(1), Add(1)) == 1
        assert other.host.healthy


async def until(condition: Any) -> None:
    while not condition():
        await anyio.sleep(0.001)


async def test_a_host_that_does_not_answer_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbound, "ANSWER_S", 0.2)
    monkeypatch.setattr(Outbound, "LOOK_S", 0.05)
    async with several_hosts() as daemon:
        here, there = daemon.members[0].host, daemon.counter_of(1)
        await here.ask(there, Add(1))
        # Given a host whose commit hangs,
        daemon.members[1].store.hold()
        # when it is asked, then the caller gets an error in time,
        with anyio.fail_after(5), pytest.raises(HostSilent, match=r"has not answered in 0\.2 s; it may have happened"):
            await here.ask(there, Add(10))
        # and the late answer is ignored.
        daemon.members[1].store.release()
        assert await here.ask(there, Read()) == 11
